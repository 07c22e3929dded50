"""No spend falls between a look-up and the block that is being looked at."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightningd_py.chain import bitcoind
from lightningd_py.chain.bitcoind import CATCH_UP, Bitcoind
from lightningd_py.chain.source import NoOutput, Output
from lightningd_py.chain.watch import Block, Outpoint, Watch, outpoint_of
from lightningd_py.database import Database
from lightningd_py.database_writer import Change
from tests.lightningd_py.chain.canned_bitcoind import Transaction
from tests.lightningd_py.chain.followed_chain import FollowedChain, Late, look_up

SPENT = [NoOutput("its output is spent")]


async def asked_in_time(
    followed: FollowedChain, source: Bitcoind
) -> tuple["asyncio.Task[list[Output | NoOutput]]", Late]:
    """A look-up of block 6's output, which the node has found unspent and has not answered yet."""
    (scid,), tx = followed.fund()
    await followed.reached(6)
    late = Late(source, '"gettxout"')
    answer = asyncio.create_task(look_up(source, scid))
    await late.asked.wait()
    spend = Transaction([tx.txid + bytes(4), *(bytes([number]) * 36 for number in range(100))], [(1, b"\x51")])
    followed.chain.add(spend)
    return answer, late


async def test_an_answer_that_comes_while_its_spend_is_looked_at(
    followed: FollowedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bitcoind, "INPUTS_A_TURN", 1)
    async with followed.following() as source:
        channels_at, seen = source._watch.channels_at, 0

        def watched(outpoint: Outpoint) -> list[int]:
            nonlocal seen
            seen += 1
            if seen == 4:  # the spend has been looked at, and nearly 100 turns are left
                late.go_on.set()
            return channels_at(outpoint)

        monkeypatch.setattr(source._watch, "channels_at", watched)
        answer, late = await asked_in_time(followed, source)
        assert await answer == SPENT


async def test_an_answer_that_comes_while_a_gap_is_jumped(followed: FollowedChain) -> None:
    async with followed.following() as source:
        answer, late = await asked_in_time(followed, source)
        no_longer_there = source._no_longer_there

        async def looked(outputs: list[tuple[int, bytes]]) -> list[int]:
            late.go_on.set()
            await asyncio.wait([answer])
            return await no_longer_there(outputs)

        source._no_longer_there = looked  # type: ignore[method-assign]
        followed.chain.grow(CATCH_UP + 1)
        assert await answer == SPENT


async def test_a_reorganisation_while_a_gap_is_jumped(followed: FollowedChain) -> None:
    """What was looked at on the new chain is not taken for the old one's: it is looked at once more."""
    (scid,), tx = followed.fund()
    async with followed.following() as source:
        await look_up(source, scid)
        await followed.reached(6)
    async with followed.following() as source:
        no_longer_there = source._no_longer_there

        async def looked(outputs: list[tuple[int, bytes]]) -> list[int]:
            source._no_longer_there = no_longer_there  # type: ignore[method-assign]
            del followed.chain.blocks[-3:]
            followed.spend(tx)
            followed.chain.grow(3)
            return await no_longer_there(outputs)

        source._no_longer_there = looked  # type: ignore[method-assign]
        followed.chain.grow(CATCH_UP + 1)
        await followed.reached(CATCH_UP + 8)
    assert (followed.heard.undone, followed.heard.spent) == ([], [(CATCH_UP + 8, [scid])])


async def test_a_reorganisation_between_two_blocks(followed: FollowedChain) -> None:
    """A block that does not follow the last one is not taken: what was replaced below it may have a spend."""
    (scid,), tx = followed.fund()
    async with followed.following() as source:
        await look_up(source, scid)
        followed.chain.grow(1)
        await followed.reached(7)
        hash_at = source._hash_at

        async def asked(height: int) -> bytes | None:
            if height == 8:
                source._hash_at = hash_at  # type: ignore[method-assign]
                del followed.chain.blocks[-2:]
                followed.spend(tx)
                followed.chain.grow(1)
            return await hash_at(height)

        source._hash_at = asked  # type: ignore[method-assign]
        followed.chain.grow(1)
        await followed.reached(8)
    assert (followed.heard.undone, followed.heard.spent) == ([(6, [])], [(7, [scid])])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "db")
    yield database
    database.close()


def test_outputs_that_were_found_gather_for_one_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are watched at once, and whatever is asked or changed meanwhile knows them."""
    watch, changes = Watch(database), list[Change]()
    change = database.change
    monkeypatch.setattr(database, "change", lambda each: (changes.append(each), change(each)))
    for scid in (1 << 40, 2 << 40, 3 << 40):
        watch.add([(scid, bytes([scid >> 40]) * 32)])
        assert watch.channels_at(outpoint_of(bytes([scid >> 40]) * 32, scid)) == [scid]
    assert changes == []
    assert [scid for scid, _ in watch.outputs()] == [1 << 40, 2 << 40, 3 << 40]
    assert len(changes) == 1
    watch.add([(4 << 40, bytes([4]) * 32)])
    watch.take(Block(9, bytes(32)), [4 << 40])
    assert len(changes) == 2
    assert watch.spent_above(8) == [4 << 40]
    watch.write()
    assert len(changes) == 2
    watch.add([(5 << 40, bytes([5]) * 32)])
    watch.write()
    assert len(Watch(database)) == 4


async def test_what_was_found_last_is_written_at_the_end(followed: FollowedChain) -> None:
    (scid,), _ = followed.fund()
    async with followed.following() as source:
        await followed.reached(6)
        (found,) = await look_up(source, scid)
        assert isinstance(found, Output)
    async with followed.following() as source:
        assert [each for each, _ in source._watch.outputs()] == [scid]
