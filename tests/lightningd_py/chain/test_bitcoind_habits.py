"""What Bitcoin Core does that other nodes may not: its refusals, its numbers, and its building a chain anew.

https://bitcoincore.org/en/doc/29.0.0/rpc/ and src/rpc/protocol.h.
"""

import asyncio
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from lightningd_py.chain.bitcoin_rpc import ChainDown
from lightningd_py.chain.source import NoOutput, Output
from lightningd_py.chain.txouts import _output
from tests.lightningd_py.canned_bitcoind import Refusal, Transaction, http
from tests.lightningd_py.following import AMOUNT, SCRIPT, World, look_up, until_warning, world
from wire.scid import make_scid

__all__ = ["world"]

IN_TROUBLE = Refusal(-32603, "Error opening block database")


def refusing(world: World, method: str, refusal: Refusal = IN_TROUBLE) -> Callable[[list[Any]], bytes | None]:
    """This method is refused, all others are answered."""

    def fault(calls: list[Any]) -> bytes | None:
        if method not in {call["method"] for call in calls} or [0] in [call["params"] for call in calls]:
            return None
        code, message = refusal.args
        replies = [{"id": call["id"], "result": None, "error": {"code": code, "message": message}} for call in calls]
        return http(json.dumps(replies).encode())

    return fault


@pytest.mark.parametrize("method", ["getblockhash", "getblock", "gettxout", "getblockchaininfo"])
async def test_a_refusal_that_says_nothing_of_the_chain_is_asked_again(world: World, method: str) -> None:
    """It is neither the end of the chain nor a spent output: nothing is undone, and nothing is closed."""
    scids, tx = world.fund(2)
    async with world.following() as source:
        await look_up(source, scids[0])
        source._txouts._blocks.clear()
        world.node.fault = refusing(world, method)
        answer = asyncio.create_task(look_up(source, scids[1]))
        world.spend(tx, 0)
        world.chain.grow(2)
        await until_warning(source, f"refuses {method}: Error opening block database (code -32603)")
        assert (world.heard.spent, world.heard.undone) == ([], [])
        world.node.fault = None
        await world.reached(9)
        assert await answer == [Output(AMOUNT, SCRIPT)]
    assert (world.heard.spent, world.heard.undone) == ([(7, [scids[0]])], [])


@pytest.mark.parametrize("method", ["getblockhash", "gettxout"])
async def test_a_refusal_after_a_long_absence(world: World, method: str) -> None:
    """When outputs are asked for instead of blocks."""
    scids, tx = world.fund(2)
    async with world.following() as source:
        await look_up(source, *scids)
    world.spend(tx, 0)
    world.chain.grow(200)
    world.node.fault = refusing(world, method)
    async with world.following() as source:
        await until_warning(source, f"refuses {method}: ")
        world.node.methods.clear()
        world.node.fault = None
        await world.reached(207)
    assert (world.heard.spent, world.heard.undone) == ([(207, [scids[0]])], [])


async def test_a_batch_is_answered_in_any_order(world: World) -> None:
    scids = [scid for _ in range(20) for scid in world.fund()[0]]
    world.node.fault = lambda calls: http(json.dumps([world.node._reply(call) for call in reversed(calls)]).encode())
    async with world.following() as source:
        assert await look_up(source, *scids) == [Output(AMOUNT, SCRIPT)] * 20


@pytest.mark.parametrize(
    ("value", "sat"),
    [
        ("0.00000001", 1),
        ("1e-8", 1),
        ("0.00123456", 123_456),
        ("20999999.97690001", 2_099_999_997_690_001),
        ("20999999.99999999", 2_099_999_999_999_999),
        ("21000000", 2_100_000_000_000_000),
        ("0", 0),
    ],
)
def test_amounts_are_exact(value: str, sat: int) -> None:
    assert _output(txout(value)) == Output(sat, b"\x51")


def txout(value: str) -> Any:
    return {"value": json.loads(value, parse_float=Decimal), "scriptPubKey": {"hex": "51"}}


@pytest.mark.parametrize("value", ["0.000000001", "-0.1", "21000000.00000001", "1e999999999", "1e-999", "NaN", "[]"])
def test_amounts_that_are_none(value: str) -> None:
    with pytest.raises(ChainDown, match="answers gettxout with "):
        _output(txout(value))


async def test_a_node_that_has_not_got_its_chain_yet_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A channel whose block it does not have yet is no wrong one."""
    (scid,), _ = world.fund()
    whole, world.chain.blocks = world.chain.blocks, world.chain.blocks[:3]
    answer = world.chain.getblockchaininfo
    monkeypatch.setattr(
        world.chain, "getblockchaininfo", lambda: answer() | {"initialblockdownload": True, "headers": 6}
    )
    async with world.following() as source:
        found = asyncio.create_task(look_up(source, scid))
        await until_warning(source, "is still catching up with the chain: it has block 3 of 6")
        world.chain.blocks = whole[:5]
        await until_warning(source, "it has block 5 of 6")
        world.chain.blocks = whole
        monkeypatch.undo()
        assert await found == [Output(AMOUNT, SCRIPT)]
        await world.reached(6)
        assert source.warning == ""
    assert sum("is still catching up" in record.getMessage() for record in caplog.records) == 1, "not for each block"


async def test_a_node_that_builds_its_chain_anew_closes_no_channel(world: World) -> None:
    """-reindex, or a directory from a backup: its chain is shorter than it was, and no output is there."""
    scids, tx = world.fund(2)
    world.chain.grow(4)
    async with world.following() as source:
        await look_up(source, *scids)
        whole, world.chain.blocks = world.chain.blocks, world.chain.blocks[:2]
        await until_warning(source, "has lost blocks: it has block 2, and had block 10")
        answer = asyncio.create_task(look_up(source, *scids))
        world.chain.blocks = whole
        world.spend(tx, 1)
        await world.reached(11)
        assert await answer == [Output(AMOUNT, SCRIPT), NoOutput("its output is spent")]
    assert (world.heard.spent, world.heard.undone) == ([(11, [scids[1]])], [])


async def test_a_block_that_is_named_and_not_found_is_asked_for_again(world: World) -> None:
    """-5: another chain has become the best one between two calls."""
    (scid,), _ = world.fund()
    async with world.following() as source:
        await world.reached(6)
        world.node.fault = refusing(world, "getblock", Refusal(-5, "Block not found"))
        answer = asyncio.create_task(look_up(source, scid))
        await until_warning(source, "refuses getblock: Block not found (code -5)")
        world.node.fault = None
        assert await answer == [Output(AMOUNT, SCRIPT)]


# more blocks are undone than are remembered


async def test_a_reorganisation_deeper_than_is_remembered(world: World) -> None:
    """Of five channels one stays, one is unspent again, one is spent in the new chain, two are not where they were."""
    (stays, unspent, spent), tx = world.fund(3)
    world.chain.grow(2)
    moved, moving = world.fund(1)
    gone, _ = world.fund(1)
    world.chain.grow(1)
    async with world.following() as source:
        await look_up(source, stays, unspent, spent, *moved, *gone)
        world.spend(tx, 1)
        for height in (112, 212):
            world.chain.grow(height - world.chain.height)
            await world.reached(height)
        del world.chain.blocks[8:]
        world.chain.add(Transaction([bytes(36)], [], 77), moving)
        world.spend(tx, 2)
        world.chain.grow(210)
        await world.reached(220)
        assert world.heard.undone == [(0, [])], "what was spent longer ago than is remembered is not told"
        assert world.heard.spent == [(12, [unspent]), (220, sorted([spent, *gone])), (220, moved)]
        where = make_scid(9, 2, 0)
        assert await look_up(source, stays, unspent, where) == [Output(AMOUNT, SCRIPT)] * 3
        world.spend(tx, 0)
        world.spend(tx, 1)
        await world.reached(222)
        assert world.heard.spent[3:] == [(221, [stays]), (222, [unspent])]


async def test_what_a_deep_reorganisation_moved_is_found_after_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.chain.grow(2)
    (scid,), tx = world.fund()
    asked = asyncio.Event()

    async def never(blockheight: int, scids: list[int]) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with world.following() as source:
        await look_up(source, scid)
        world.chain.grow(150)
        await world.reached(158)
        with monkeypatch.context() as patch:
            patch.setattr(world.heard, "outpoints_spent", never)
            del world.chain.blocks[5:]
            world.chain.add(tx)
            world.chain.grow(160)
            await asked.wait()
    async with world.following():
        await world.reached(166)
    assert world.heard.spent == [(166, [scid])]
    assert world.heard.undone == [(0, [])]


async def test_blocks_that_a_pruned_node_has_dropped_are_not_looked_at_again(world: World) -> None:
    (scid,), _ = world.fund()
    world.chain.grow(2)
    async with world.following() as source:
        await look_up(source, scid)
        world.chain.grow(200)
        await world.reached(208)
        del world.chain.blocks[7:]
        world.chain.grow(210)
        world.node.fault = refusing(world, "getblock", Refusal(-1, "Block not available (pruned data)"))
        await world.reached(217)
    assert (world.heard.spent, world.heard.undone) == ([], [(0, [])])
