"""What Bitcoin Core does that other nodes may not: its refusals, its numbers, and its building another chain.

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
from tests.lightningd_py.chain.canned_bitcoind import Block, Refusal, Transaction, http
from tests.lightningd_py.chain.followed_chain import AMOUNT, SCRIPT, FollowedChain, look_up, until_warning
from wire.scid import make_scid

IN_TROUBLE = Refusal(-32603, "Error opening block database")


def refusing(
    followed: FollowedChain, method: str, refusal: Refusal = IN_TROUBLE
) -> Callable[[list[Any]], bytes | None]:
    """This method is refused, all others are answered."""

    def fault(calls: list[Any]) -> bytes | None:
        if method not in {call["method"] for call in calls} or [0] in [call["params"] for call in calls]:
            return None
        code, message = refusal.args
        replies = [{"id": call["id"], "result": None, "error": {"code": code, "message": message}} for call in calls]
        return http(json.dumps(replies).encode())

    return fault


@pytest.mark.parametrize("method", ["getblockhash", "getblock", "gettxout", "getblockchaininfo"])
async def test_a_refusal_that_says_nothing_of_the_chain_is_asked_again(followed: FollowedChain, method: str) -> None:
    """Neither the end of the chain nor a spent output: nothing is undone, and nothing is closed."""
    scids, tx = followed.fund(2)
    async with followed.following() as source:
        await look_up(source, scids[0])
        source._txouts._blocks.clear()
        followed.node.fault = refusing(followed, method)
        answer = asyncio.create_task(look_up(source, scids[1]))
        followed.spend(tx, 0)
        followed.chain.grow(2)
        await until_warning(source, f"refuses {method}: Error opening block database (code -32603)")
        assert followed.heard.undone == []
        assert followed.heard.spent == [] or method == "gettxout", "blocks are read on meanwhile"
        followed.node.fault = None
        await followed.reached(9)
        assert await answer == [Output(AMOUNT, SCRIPT)]
    assert (followed.heard.spent, followed.heard.undone) == ([(7, [scids[0]])], [])


@pytest.mark.parametrize("method", ["getblockhash", "gettxout"])
async def test_a_refusal_after_a_long_absence(followed: FollowedChain, method: str) -> None:
    """When outputs are asked for instead of blocks."""
    scids, tx = followed.fund(2)
    async with followed.following() as source:
        await look_up(source, *scids)
    followed.spend(tx, 0)
    followed.chain.grow(200)
    followed.node.fault = refusing(followed, method)
    async with followed.following() as source:
        await until_warning(source, f"refuses {method}: ")
        followed.node.methods.clear()
        followed.node.fault = None
        await followed.reached(207)
    assert (followed.heard.spent, followed.heard.undone) == ([(207, [scids[0]])], [])


async def test_a_batch_is_answered_in_any_order(followed: FollowedChain) -> None:
    scids = [scid for _ in range(20) for scid in followed.fund()[0]]
    followed.node.fault = lambda calls: http(
        json.dumps([followed.node._reply(call) for call in reversed(calls)]).encode()
    )
    async with followed.following() as source:
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
    followed: FollowedChain, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A channel whose block it does not have yet is no wrong one."""
    (scid,), _ = followed.fund()
    whole, followed.chain.blocks = followed.chain.blocks, followed.chain.blocks[:3]
    answer = followed.chain.getblockchaininfo
    monkeypatch.setattr(
        followed.chain, "getblockchaininfo", lambda: answer() | {"initialblockdownload": True, "headers": 6}
    )
    async with followed.following() as source:
        found = asyncio.create_task(look_up(source, scid))
        await until_warning(source, "is still catching up with the chain: it has block 3 of 6")
        followed.chain.blocks = whole[:5]
        await until_warning(source, "it has block 5 of 6")
        followed.chain.blocks = whole
        monkeypatch.undo()
        assert await found == [Output(AMOUNT, SCRIPT)]
        await followed.reached(6)
        assert source.warning == ""
    assert sum("is still catching up" in record.getMessage() for record in caplog.records) == 1, "not for each block"


async def test_a_node_that_builds_its_chain_anew_closes_no_channel(followed: FollowedChain) -> None:
    """-reindex, or a directory from a backup: its chain is shorter than it was, and no output is there."""
    scids, tx = followed.fund(2)
    followed.chain.grow(4)
    async with followed.following() as source:
        await look_up(source, *scids)
        whole, followed.chain.blocks = followed.chain.blocks, followed.chain.blocks[:2]
        await until_warning(source, "has lost blocks: it has block 2, and had block 10")
        answer = asyncio.create_task(look_up(source, *scids))
        followed.chain.blocks = whole
        followed.spend(tx, 1)
        await followed.reached(11)
        assert await answer == [Output(AMOUNT, SCRIPT), NoOutput("its output is spent")]
    assert (followed.heard.spent, followed.heard.undone) == ([(11, [scids[1]])], [])


async def test_a_block_that_is_named_and_not_found_is_asked_for_again(followed: FollowedChain) -> None:
    """-5: another chain has become the best one between two calls."""
    (scid,), _ = followed.fund()
    async with followed.following() as source:
        await followed.reached(6)
        followed.node.fault = refusing(followed, "getblock", Refusal(-5, "Block not found"))
        answer = asyncio.create_task(look_up(source, scid))
        await until_warning(source, "refuses getblock: Block not found (code -5)")
        followed.node.fault = None
        assert await answer == [Output(AMOUNT, SCRIPT)]


# more blocks are undone than are remembered


async def test_a_reorganisation_deeper_than_is_remembered(followed: FollowedChain) -> None:
    """Of five channels one stays, one is unspent again, one is spent in the new chain, two are not where they were."""
    (stays, unspent, spent), tx = followed.fund(3)
    followed.chain.grow(2)
    moved, moving = followed.fund(1)
    gone, _ = followed.fund(1)
    followed.chain.grow(1)
    async with followed.following() as source:
        await look_up(source, stays, unspent, spent, *moved, *gone)
        followed.spend(tx, 1)
        for height in (112, 212):
            followed.chain.grow(height - followed.chain.height)
            await followed.reached(height)
        del followed.chain.blocks[8:]
        followed.chain.add(Transaction([bytes(36)], [], 77), moving)
        followed.spend(tx, 2)
        followed.chain.grow(210)
        await followed.reached(220)
        assert followed.heard.undone == [(0, [])], "what was spent longer ago than is remembered is not told"
        assert followed.heard.spent == [(12, [unspent]), (220, sorted([spent, *gone])), (220, moved)]
        where = make_scid(9, 2, 0)
        assert await look_up(source, stays, unspent, where) == [Output(AMOUNT, SCRIPT)] * 3
        followed.spend(tx, 0)
        followed.spend(tx, 1)
        await followed.reached(222)
        assert followed.heard.spent[3:] == [(221, [stays]), (222, [unspent])]


async def test_what_a_deep_reorganisation_moved_is_found_after_a_restart(
    followed: FollowedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed.chain.grow(2)
    (scid,), tx = followed.fund()
    asked = asyncio.Event()

    async def never(blockheight: int, scids: list[int]) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with followed.following() as source:
        await look_up(source, scid)
        followed.chain.grow(150)
        await followed.reached(158)
        with monkeypatch.context() as patch:
            patch.setattr(followed.heard, "outpoints_spent", never)
            del followed.chain.blocks[5:]
            followed.chain.add(tx)
            followed.chain.grow(160)
            await asked.wait()
    async with followed.following():
        await followed.reached(166)
    assert followed.heard.spent == [(166, [scid])]
    assert followed.heard.undone == [(0, [])]


async def test_blocks_that_a_pruned_node_has_dropped_are_not_looked_at_again(followed: FollowedChain) -> None:
    (scid,), _ = followed.fund()
    followed.chain.grow(2)
    async with followed.following() as source:
        await look_up(source, scid)
        followed.chain.grow(200)
        await followed.reached(208)
        del followed.chain.blocks[7:]
        followed.chain.grow(210)
        followed.node.fault = refusing(followed, "getblock", Refusal(-1, "Block not available (pruned data)"))
        await followed.reached(217)
    assert (followed.heard.spent, followed.heard.undone) == ([], [(0, [])])


async def test_another_block_than_was_asked_for_is_not_looked_at(followed: FollowedChain) -> None:
    """One that would follow the last one as well."""
    (scid,), tx = followed.fund()
    spend = Transaction([tx.txid + bytes(4)], [(1, b"\x51")])
    async with followed.following() as source:
        await look_up(source, scid)
        other = Block(followed.chain.hash_at(6), [spend], salt=99).raw().hex()
        followed.node.fault = lambda calls: (
            http(b'[{"id": %d, "result": "%s"}]' % (calls[0]["id"], other.encode()))
            if calls[0]["method"] == "getblock"
            else None
        )
        followed.chain.grow(1)
        await until_warning(source, "answers getblock with another block")
        followed.node.fault = None
        await followed.reached(7)
    assert followed.heard.spent == []
