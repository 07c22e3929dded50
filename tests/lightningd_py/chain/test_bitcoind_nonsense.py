"""A node that answers any method with any JSON: it is waited for, and nothing of ours ends by it."""

import asyncio
import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightningd_py.chain.bitcoin_rpc import ChainDown
from lightningd_py.chain.bitcoind import Bitcoind
from lightningd_py.chain.block_notices import BlockNotices
from lightningd_py.chain.source import Output
from lightningd_py.chain.txouts import _output, txids_of
from tests.harness.waiting import until
from tests.lightningd_py.chain.canned_bitcoind import http
from tests.lightningd_py.chain.followed_chain import AMOUNT, SCRIPT, FollowedChain, look_up
from wire.scid import make_scid

METHODS = ["getblockchaininfo", "getblockhash", "getblock", "gettxout", "getrawtransaction", "getzmqnotifications"]
HASH = '"' + "ab" * 32 + '"'
ANSWERS = [
    *("null", "true", "-1", "0", "1e400", "NaN", "Infinity", "-Infinity", "9" * 40, '""', '"\\ud800"', "[]", "{}"),
    *('"' + "zz" * 32 + '"', "[null]", "[[]]", "[" * 5_000, '{"blocks": 7}'),
    *(f'{{"blocks": {height}, "bestblockhash": {HASH}}}' for height in ("-5", "NaN", "Infinity", '"7"', "true", "7.5")),
    *(
        f'{{"blocks": {height}, "bestblockhash": {HASH}}}'
        for height in ("9" * 40, "1e400", "1e999999999", "null", "[]")
    ),
    *('{"tx": []}', '{"tx": ["ab"]}', '{"tx": {}}', f'{{"tx": [{list(range(64))}]}}'),
    *(f'{{"value": {value}, "scriptPubKey": {{"hex": "00"}}}}' for value in ("NaN", "Infinity", "1e999999999", "-1")),
    *('{"value": 1, "scriptPubKey": {"hex": 7}}', '{"value": 1, "scriptPubKey": []}', '{"value": []}'),
    *('{"vout": {}}', '{"vout": 7}', '[{"type": "pubhashblock"}]'),
    *(
        '[{"type": "pubhashblock", "address": "tcp://[x:1"}]',
        '[{"type": "pubhashblock", "address": "tcp://\\ud800:1"}]',
    ),
]

TEXTS = st.text(max_size=12)
NAMES = TEXTS | st.sampled_from(["tx", "value", "scriptPubKey"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("method", METHODS)
async def test_no_answer_ends_anything(followed: FollowedChain, method: str) -> None:
    scids, _ = followed.fund(2)
    answered: list[str] = []
    async with followed.following() as source:
        await followed.reached(6)
        look_ups = []
        for number, answer in enumerate(ANSWERS):
            followed.node.fault = lambda calls, answer=answer: replies(calls, method, answer, answered)
            followed.chain.grow(1)
            look_ups.append(asyncio.create_task(look_up(source, make_scid(6, 1, 100 + number))))

            async def said(answer: str = answer) -> bool:
                if method == "getzmqnotifications":
                    source._lookup_failed("is to be met again")
                return answer in answered

            await until(said, f"{answer} is never asked for")
        followed.node.fault = None
        await followed.reached(followed.chain.height)
        assert await look_up(source, *scids) == [Output(AMOUNT, SCRIPT)] * 2
        await asyncio.gather(*look_ups)
        assert is_alive(source)


def replies(calls: list[Any], method: str, answer: str, answered: list[str]) -> bytes | None:
    if calls[0]["method"] != method:
        return None
    answered.append(answer)
    return http(b"[" + b",".join(b'{"id": %d, "result": %s}' % (call["id"], answer.encode()) for call in calls) + b"]")


def is_alive(source: Bitcoind) -> bool:
    tasks = [source._task, *source._txouts._workers]
    return not any(task is None or task.done() for task in tasks)


@settings(max_examples=200, deadline=None)
@given(answer=JSON)
def test_any_answer_is_read_or_refused(answer: Any) -> None:
    for read in (_output, txids_of):
        with contextlib.suppress(ChainDown):
            read(answer)


@settings(max_examples=100, deadline=None)
@given(answer=JSON, address=st.text())
async def test_any_addresses_of_notices(answer: Any, address: str) -> None:
    notices = BlockNotices("127.0.0.1", 0.0)
    notices._of_blocks(answer)
    with contextlib.suppress(ValueError):
        notices._seen_from_here(address)
    notices.close()
