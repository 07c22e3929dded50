"""What another chain makes of the channels that are watched. With a real node: tests/system/test_bitcoin.py."""

import asyncio

import pytest

from lightningd_py.chain.source import NoOutput, Output
from tests.lightningd_py.canned_bitcoind import Block, Transaction
from tests.lightningd_py.following import AMOUNT, SCRIPT, World, look_up, world
from wire.scid import make_scid

__all__ = ["world"]


async def test_a_reorganisation_undoes_spends(world: World) -> None:
    scids, tx = world.fund(2)
    async with world.following() as source:
        await look_up(source, *scids)
        world.chain.grow(1)
        world.spend(tx, 0)
        world.chain.grow(2)
        await world.reached(10)
        del world.chain.blocks[7:]
        world.spend(tx, 1)
        world.chain.grow(4)
        await world.reached(12)
        assert world.heard.undone == [(7, [scids[0]])]
        assert world.heard.spent == [(8, [scids[0]]), (8, [scids[1]])]
        assert await look_up(source, *scids) == [Output(AMOUNT, SCRIPT), NoOutput("its output is spent")]


async def test_channels_that_a_reorganisation_moves_are_gone(world: World) -> None:
    stays, _ = world.fund()
    goes, tx = world.fund()
    world.chain.grow(2)
    async with world.following() as source:
        await look_up(source, *stays, *goes)
        del world.chain.blocks[6:]
        world.chain.add(Transaction([bytes(36)], [], 77), tx)
        world.chain.grow(4)
        await world.reached(11)
        assert world.heard.spent == [(11, goes)]
        moved = make_scid(7, 2, 0)
        answers = await look_up(source, *goes, moved)
        assert answers == [NoOutput("its transaction has only 0 outputs"), Output(AMOUNT, SCRIPT)]


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_channel_that_another_reorganisation_brings_back(world: World, restarted: bool) -> None:
    """Only one that replaces its block: not one of a few blocks in the chain where it is not."""
    goes, tx = world.fund()
    world.chain.grow(2)
    async with world.following() as source:
        await look_up(source, *goes)
        before = world.chain.blocks[5:]
        del world.chain.blocks[5:]
        world.chain.grow(6)
        await world.reached(11)
        assert world.heard.spent == [(11, goes)]
        del world.chain.blocks[9:]
        world.chain.grow(3)
        await world.reached(12)
        assert world.heard.undone == [(5, []), (9, [])]
        if not restarted:
            await comes_back(world, before)
    if restarted:
        async with world.following() as source:
            assert source.unwatched([]) == []  # gossipd has forgotten it by now
            await comes_back(world, before)
    async with world.following():
        world.spend(tx)
        await world.reached(15)
    assert world.heard.spent == [(11, goes), (15, goes)]


async def comes_back(world: World, before: list[Block]) -> None:
    """The blocks above 5 are once more what they were, and more than what replaced them."""
    del world.chain.blocks[5:]
    world.chain.blocks += before
    world.chain.grow(6)
    await world.reached(14)
    assert world.heard.undone[-1] == (5, [make_scid(6, 1, 0)])
    assert len(world.heard.spent) == 1


async def test_a_channel_whose_transaction_has_moved_is_watched_where_it_is(world: World) -> None:
    """The place where it was is remembered for a day, and does not take the new one's watch along."""
    (goes,), tx = world.fund()
    world.chain.grow(2)
    async with world.following() as source:
        await look_up(source, goes)
        del world.chain.blocks[5:]
        world.chain.add(Transaction([bytes(36)], [], 77), tx)
        world.chain.grow(4)
        await world.reached(10)
        moved = make_scid(6, 2, 0)
        assert await look_up(source, moved) == [Output(AMOUNT, SCRIPT)]
        world.chain.grow(141)
        await world.reached(151)
        world.spend(tx)
        await world.reached(152)
    assert world.heard.spent == [(10, [goes]), (152, [moved])]


async def test_a_channel_that_is_brought_back_and_spent_at_once(world: World) -> None:
    """Its transaction was elsewhere meanwhile, and announced there: both places are closed."""
    (goes,), tx = world.fund()
    world.chain.grow(2)
    moved = make_scid(6, 2, 0)
    async with world.following() as source:
        await look_up(source, goes)
        before = world.chain.blocks[5:]
        del world.chain.blocks[5:]
        world.chain.add(Transaction([bytes(36)], [], 77), tx)
        world.chain.grow(4)
        await world.reached(10)
        await look_up(source, moved)
    del world.chain.blocks[5:]
    world.chain.blocks += before
    world.chain.grow(3)
    world.spend(tx)
    async with world.following():
        await world.reached(12)
    assert [(height, sorted(scids)) for height, scids in world.heard.spent] == [(10, [goes]), (12, [goes, moved])]


async def test_a_hash_that_was_asked_for_before_a_reorganisation_is_not_used_after_it(world: World) -> None:
    (scid,), _ = world.fund()
    world.chain.grow(2)
    asked, change = asyncio.Event(), asyncio.Event()
    async with world.following() as source:
        await world.reached(8)
        send = source.rpc._post

        async def late(body: bytes) -> tuple[int, bytes]:
            answer = await send(body)
            if b'"getblockhash", "params": [6]' in body and not asked.is_set():
                asked.set()
                await change.wait()
            return answer

        source.rpc._post = late  # type: ignore[method-assign]
        answer = asyncio.create_task(look_up(source, scid))
        await asked.wait()
        del world.chain.blocks[5:]
        world.chain.grow(5)
        await world.reached(10)
        change.set()
        assert await answer == [NoOutput("its block has only 1 transactions")]


async def test_a_reorganisation_while_we_were_away(world: World) -> None:
    scids, tx = world.fund(1)
    async with world.following() as source:
        await look_up(source, *scids)
        world.spend(tx)
        await world.reached(7)
    del world.chain.blocks[6:]
    world.chain.grow(5)
    async with world.following():
        await world.reached(11)
    assert world.heard.undone == [(6, scids)]
