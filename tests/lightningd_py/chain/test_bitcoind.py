"""The chain is followed, outputs are found and watched, whatever the node does. The real node is in tests/system."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import zmq

from lightningd_py.chain.source import NoOutput, Output
from lightningd_py.chain.txouts import BlockCache
from tests.lightningd_py.chain.canned_bitcoind import Transaction, http
from tests.lightningd_py.chain.followed_chain import AMOUNT, SCRIPT, FollowedChain, look_up, until_warning
from wire.scid import make_scid


async def test_thirty_channels_of_a_block_cost_one_block(followed: FollowedChain) -> None:
    scids, _ = followed.fund(30)
    async with followed.following() as source:
        assert await look_up(source, *scids) == [Output(AMOUNT, SCRIPT)] * 30
        assert await look_up(source, scids[0]) == [Output(AMOUNT, SCRIPT)]
    assert followed.node.methods.count("getblock") == 1
    assert followed.node.methods.count("gettxout") == 31


async def test_what_is_not_there_has_its_reason(followed: FollowedChain) -> None:
    (scid,), tx = followed.fund()
    followed.spend(tx)
    beyond = NoOutput("its block is beyond the end of the chain")
    wanted = {
        scid: NoOutput("its output is spent"),
        scid + 9: NoOutput("its transaction has only 1 outputs", forged=True),
        make_scid(6, 2, 0): NoOutput("its block has only 2 transactions", forged=True),
        make_scid(8, 1, 0): beyond,
        make_scid((1 << 24) - 1, 1, 0): beyond,
    }
    async with followed.following() as source:
        assert await look_up(source, *wanted) == [*wanted.values()]
        lie = NoOutput("its output is spent, and paid to another script", forged=True)
        assert await look_up(source, scid, script=b"the script of a liar") == [lie]


async def test_blocks_that_a_pruned_node_has_dropped(followed: FollowedChain, monkeypatch: pytest.MonkeyPatch) -> None:
    (scid,), _ = followed.fund()
    info = followed.chain.getblockchaininfo()
    monkeypatch.setattr(followed.chain, "getblockchaininfo", lambda: info | {"pruned": True, "pruneheight": 4})
    followed.node.fault = lambda calls: (
        http(b'[{"id": %d, "error": {"code": -1, "message": "Block not available (pruned data)"}}]' % calls[0]["id"])
        if calls[0]["method"] == "getblock"
        else None
    )
    async with followed.following() as source:
        (answer,) = await look_up(source, scid)
        assert answer == NoOutput("bitcoind does not give its block: Block not available (pruned data)", is_known=False)
        assert "is pruned below block 4: channels that were opened in older blocks cannot be proven" in source.warning


async def test_spends_are_told_block_by_block(followed: FollowedChain) -> None:
    scids, tx = followed.fund(3)
    async with followed.following() as source:
        await look_up(source, *scids)
        await look_up(source, scids[2], script=b"something else")
        followed.spend(tx, 1)
        await followed.reached(7)
        followed.spend(tx, 0)
        followed.chain.grow(3)
        await followed.reached(11)
        assert followed.heard.spent == [(7, [scids[1]]), (8, [scids[0]])]
        assert source.unwatched(scids) == []


async def test_an_output_with_another_script_is_not_watched(followed: FollowedChain) -> None:
    scids, _ = followed.fund(1)
    async with followed.following() as source:
        assert await look_up(source, scids[0], script=b"something else") == [Output(AMOUNT, SCRIPT)]
        assert source.unwatched(scids) == scids


@pytest.mark.parametrize("missed", [3, 200])
async def test_blocks_that_were_missed_are_caught_up_with(followed: FollowedChain, missed: int) -> None:
    scids, tx = followed.fund(2)
    async with followed.following() as source:
        await look_up(source, *scids)
    followed.chain.grow(1)
    followed.spend(tx, 1)
    followed.chain.grow(missed - 2)
    followed.node.methods.clear()
    async with followed.following():
        await followed.reached(6 + missed)
    assert followed.heard.spent == [(8 if missed == 3 else 206, [scids[1]])]
    assert followed.node.methods.count("getblock") == (3 if missed == 3 else 0)


async def test_a_spend_is_told_again_if_it_was_not_taken(
    followed: FollowedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    scids, tx = followed.fund(1)
    asked = asyncio.Event()

    async def never(blockheight: int, scids: list[int]) -> None:
        asked.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(followed.heard, "outpoints_spent", never)
        async with followed.following() as source:
            await look_up(source, *scids)
            followed.spend(tx)
            await asked.wait()
    async with followed.following():
        await followed.reached(7)
    assert followed.heard.spent == [(7, scids)]


async def test_it_waits_for_a_node_that_is_down(followed: FollowedChain, caplog: pytest.LogCaptureFixture) -> None:
    (scid,), tx = followed.fund()
    await followed.node.stop()
    async with followed.following() as source:
        answer = asyncio.create_task(look_up(source, scid))
        await until_warning(source, "cannot be reached")
        assert source.blockheight == 0
        await followed.node.start_again()
        assert await answer == [Output(AMOUNT, SCRIPT)]
        assert source.warning == ""
        await followed.node.stop()
        await until_warning(source, "cannot be reached")
        answer = asyncio.create_task(look_up(source, scid + 1))
        followed.spend(tx)
        await followed.node.start_again()
        assert await answer == [NoOutput("its transaction has only 1 outputs", forged=True)]
        await followed.reached(7)
    assert followed.heard.spent == [(7, [scid])]
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 2, "each outage is told once"


WRONG: dict[str, Callable[[list[Any]], bytes]] = {
    "is still loading (Loading block index…)": lambda calls: http(
        b'[{"id": %d, "error": {"code": -28, "message": "Loading block index\xe2\x80\xa6"}}]' % calls[0]["id"]
    ),
    "is on another chain than regtest": lambda calls: http(
        b'[{"id": %d, "result": "%s", "error": null}]' % (calls[0]["id"], b"ab" * 32)
    ),
    "answers with something else than a hash": lambda calls: http(b'[{"id": %d, "result": 7}]' % calls[0]["id"]),
    "answers with broken JSON": lambda calls: http(b"{"),
    "answers with HTTP status 500": lambda calls: http(b"", 500),
    "refuses our user and password, or its cookie": lambda calls: http(b"", 401),
}


@pytest.mark.parametrize("sentence", WRONG)
async def test_at_the_start_the_node_is_not_as_it_should_be(followed: FollowedChain, sentence: str) -> None:
    (scid,), _ = followed.fund()
    followed.node.fault = WRONG[sentence]
    async with followed.following() as source:
        await until_warning(source, f"bitcoind at 127.0.0.1:{followed.node.port} {sentence}")
        followed.node.fault = None
        await followed.reached(6)
        assert await look_up(source, scid) == [Output(AMOUNT, SCRIPT)]


@pytest.mark.parametrize("method", ["getblockhash", "getblock", "gettxout"])
@pytest.mark.parametrize("nonsense", [b"7", b'"abc"', b"[]", b"{}", b'{"tx": [1], "value": "x"}'])
async def test_nonsense_is_asked_again(followed: FollowedChain, method: str, nonsense: bytes) -> None:
    scids, _ = followed.fund(2)
    async with followed.following() as source:
        await followed.reached(6)
        followed.node.fault = lambda calls: (
            http(b"[" + b",".join(b'{"id": %d, "result": %s}' % (call["id"], nonsense) for call in calls) + b"]")
            if calls[0]["method"] == method and calls[0]["params"] != [0]
            else None
        )
        answer = asyncio.create_task(look_up(source, *scids))
        await until_warning(source, "answers")
        followed.node.fault = None
        assert await answer == [Output(AMOUNT, SCRIPT)] * 2


async def test_a_block_of_four_megabytes(followed: FollowedChain) -> None:
    scids, tx = followed.fund(1)
    async with followed.following() as source:
        await look_up(source, *scids)
        large = [Transaction([bytes([n]) * 36], [(1, b"\x51" * 200)] * 250, n) for n in range(70)]
        followed.chain.add(*large, Transaction([tx.txid + bytes(4)], []))
        assert len(followed.chain.blocks[-1].raw()) > 3_600_000
        await followed.reached(7)
    assert followed.heard.spent == [(7, scids)]


async def test_bitcoind_is_kept_busy_on_a_first_sync(followed: FollowedChain) -> None:
    """5,000 channels in 500 blocks, 1,000 asked for at a time, a node that answers in 1 ms: it never waits for us."""
    blocks = [followed.fund(10)[0] for _ in range(500)]
    scids = [scid for block in blocks for scid in block]
    by_txid = {tx.txid[::-1].hex(): tx for b in followed.chain.blocks for tx in b.transactions}
    followed.chain.transaction = lambda txid: by_txid.get(txid)  # type: ignore[method-assign]
    followed.chain.is_spent = lambda outpoint: False  # type: ignore[method-assign]
    by_hash = {block.hash[::-1].hex(): (height, block) for height, block in enumerate(followed.chain.blocks, 1)}
    followed.chain.find = lambda block_hash: by_hash[block_hash]  # type: ignore[method-assign]
    async with followed.following(poll=10) as source:
        await followed.reached(505)
        followed.node.delay = 0.001
        followed.node.requests = 0
        loop = asyncio.get_running_loop()
        left = iter(scids)
        done: asyncio.Future[None] = loop.create_future()
        unanswered = len(scids)
        busy = [0, 0]  # counted, not timed, so that a slow machine is no failure: the benchmark `txouts` has the time
        send = source.rpc._post

        async def measured(body: bytes) -> tuple[int, bytes]:
            note()
            try:
                return await send(body)
            finally:
                note()

        def note() -> None:
            busy[source.rpc.in_flight >= 4] += 1

        def answered(answer: Output | NoOutput) -> None:
            nonlocal unanswered
            assert answer == Output(AMOUNT, SCRIPT)
            unanswered -= 1
            if (scid := next(left, None)) is not None:
                source.look_up(scid, SCRIPT, answered)
            elif not unanswered:
                done.set_result(None)

        source.rpc._post = measured  # type: ignore[method-assign]
        for _ in range(1000):
            source.look_up(next(left), SCRIPT, answered)
        await done
    assert busy[1] / sum(busy) >= 0.9, busy
    assert followed.node.methods.count("getblock") == 500
    assert followed.node.requests < 1_500


async def test_a_notice_by_zmq_is_quicker_than_the_next_poll(
    followed: FollowedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    try:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        answer = [{"type": "pubrawtx", "address": "x"}, {"type": "pubhashblock", "address": f"tcp://0.0.0.0:{port}"}]
        followed.chain.getzmqnotifications = lambda: answer  # type: ignore[attr-defined]
        async with followed.following(poll=60.0):
            await followed.reached(5)
            assert await asyncio.to_thread(publisher.recv) in (b"\1hashblock", b"\1rawblock")
            followed.chain.grow(1)
            publisher.send_multipart([b"hashblock", bytes(32), bytes(4)])
            await followed.reached(6)
    finally:
        publisher.close(linger=0)
        context.term()


def test_the_cache_of_blocks_has_a_bound() -> None:
    cache = BlockCache(limit=10)
    for height in range(4):
        cache.put(height, "", bytes(32 * 4))
    assert [cache.get(height) is not None for height in range(4)] == [False, False, True, True]
    cache.put(9, "", bytes(32 * 100))
    assert cache.get(9) is not None and cache.get(3) is None
