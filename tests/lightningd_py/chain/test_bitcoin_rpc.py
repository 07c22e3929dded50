"""The JSON-RPC client against a server that does everything wrong."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.chain.bitcoin_access import BitcoindAccess, NoAccess
from lightningd_py.chain.bitcoin_rpc import BitcoinRpc, ChainDown, Refused
from lightningd_py.config.options import parse
from tests.harness.waiting import until
from tests.lightningd_py.chain.canned_bitcoind import PASSWORD, USER, CannedBitcoind, Chain, error, http


@pytest.fixture
async def node() -> AsyncIterator[CannedBitcoind]:
    async with CannedBitcoind(Chain()) as node:
        node.chain.grow(3)
        yield node


def access(port: int, **changes: Any) -> BitcoindAccess:
    fields = {"host": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD, "cookie": Path("/nowhere")}
    return BitcoindAccess(**{**fields, **changes})


@pytest.fixture
async def rpc(node: CannedBitcoind) -> AsyncIterator[BitcoinRpc]:
    rpc = BitcoinRpc(access(node.port), 5.0, 4)
    try:
        yield rpc
    finally:
        await rpc.close()


async def test_a_batch_is_answered_in_its_order(node: CannedBitcoind, rpc: BitcoinRpc) -> None:
    best = node.chain.hash_at(3)[::-1].hex()
    answers = await rpc.batch([("getblockhash", (3,)), ("getblockhash", (4,)), ("frobnicate", ())])
    assert answers == [best, Refused(-8, "Block height out of range"), Refused(-32601, "Method not found")]
    assert (node.requests, rpc.requests, rpc.calls, rpc.in_flight) == (1, 1, 3, 0)


FAULTS = {
    "answers with HTTP status 500": lambda calls: http(b"<html>oh</html>", 500),
    "is too busy (HTTP 503): see its rpcworkqueue": lambda calls: http(b"Work queue depth exceeded", 503),
    "does not let us in (HTTP 403): see its rpcallowip and rpcwhitelist": lambda calls: http(b"", 403),
    "refuses our user and password, or its cookie": lambda calls: http(b"", 401),
    "answers with broken JSON": lambda calls: http(b"[{"),
    "answers with HTTP status 200 and no list of replies": lambda calls: http(b"7"),
    "answers with the id of another request": lambda calls: http(b'[{"id": 0, "result": 1, "error": null}]'),
    "broke off before the end of its reply (ClientPayloadError)": lambda calls: http(b"[", length=100),
    "is still loading (Verifying blocks…)": lambda calls: http(
        json.dumps([{"id": calls[0]["id"], "error": {"code": -28, "message": "Verifying blocks…"}}]).encode()
    ),
    "is still loading (Loading block index…)": lambda calls: error(-28, "Loading block index…"),
    "refuses our requests: Parse error (code -32700)": lambda calls: error(-32700, "Parse error"),
    "answers with an error that has no code": lambda calls: http(
        json.dumps([{"id": calls[0]["id"], "error": "no"}]).encode()
    ),
}


@pytest.mark.parametrize("sentence", FAULTS)
async def test_each_fault_is_one_sentence_and_the_next_request_works(
    node: CannedBitcoind, rpc: BitcoinRpc, sentence: str
) -> None:
    node.fault = FAULTS[sentence]
    with pytest.raises(ChainDown) as caught:
        await rpc.call("getblockhash", 0)
    assert str(caught.value) == sentence
    node.fault = None
    assert await rpc.call("getblockhash", 3) == node.chain.hash_at(3)[::-1].hex()


async def test_silence_is_not_waited_for_for_ever(node: CannedBitcoind) -> None:
    rpc = BitcoinRpc(access(node.port), 0.05, 1)
    node.silent = True
    with pytest.raises(ChainDown, match="has said nothing for 0 seconds"):
        await rpc.call("getblockhash", 0)
    await rpc.close()


async def test_nobody_listens(unused_ports: list[int]) -> None:
    rpc = BitcoinRpc(access(unused_ports[0]), 5.0, 1)
    with pytest.raises(ChainDown, match="cannot be reached: Connect"):
        await rpc.call("getblockhash", 0)
    await rpc.close()


async def test_the_cookie_is_read_again_for_each_request(node: CannedBitcoind, tmp_path: Path) -> None:
    cookie = tmp_path / ".cookie"
    rpc = BitcoinRpc(access(node.port, user=None, password=None, cookie=cookie), 5.0, 1)
    with pytest.raises(ChainDown, match=f"does not know us: its cookie {cookie} cannot be read: No such file"):
        await rpc.call("getblockhash", 0)
    cookie.write_text("__cookie__:old")
    with pytest.raises(ChainDown, match="refuses our user and password, or its cookie"):
        await rpc.call("getblockhash", 0)
    cookie.write_text(f"{USER}:{PASSWORD}\n")
    assert await rpc.call("getblockhash", 3) == node.chain.hash_at(3)[::-1].hex()
    await rpc.close()


async def test_requests_are_in_flight_side_by_side(node: CannedBitcoind, rpc: BitcoinRpc) -> None:
    node.delay = 0.05
    tasks = [asyncio.create_task(rpc.call("getblockhash", 0)) for _ in range(4)]

    async def all_are_there() -> bool:
        return node.requests == 4

    await until(all_are_there, "4 requests at once")
    assert rpc.in_flight == 4
    await asyncio.gather(*tasks)


def test_ports_and_paths_are_bitcoinds_own(tmp_path: Path) -> None:
    def of(*options: str) -> BitcoindAccess:
        return BitcoindAccess.of(parse([f"--lightning-dir={tmp_path}", *options]))

    assert of("--network=bitcoin").url == "http://127.0.0.1:8332/"
    assert of("--network=bitcoin", "--bitcoin-datadir=/b").cookie == Path("/b/.cookie")
    testnet = of("--network=testnet", "--bitcoin-datadir=/b", "--bitcoin-rpcconnect=btc.example")
    assert (testnet.url, testnet.cookie) == ("http://btc.example:18332/", Path("/b/testnet3/.cookie"))
    assert of("--bitcoin-rpcconnect=[::1]:99").url == "http://[::1]:99/"
    assert of("--bitcoin-rpcconnect=::1", "--bitcoin-rpcport=98").url == "http://[::1]:98/"
    assert of("--network=regtest", "--bitcoin-rpcconnect=h:77", "--bitcoin-rpcport=78").port == 78
    assert str(of("--network=signet")) == "bitcoind at 127.0.0.1:38332"
    assert not of("--bitcoin-rpcuser=a", "--bitcoin-rpcpassword=b").uses_cookie
    with pytest.raises(NoAccess):
        of("--bitcoin-datadir=/nowhere").authorization()
