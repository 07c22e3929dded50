"""Funding outputs asked of a Bitcoin node that answers in 1 ms: what it costs us, and whether the node waits for us."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Iterator
from hashlib import sha256
from multiprocessing.connection import Connection
from typing import Any

from lightningd_py.chain.bitcoind import Bitcoind
from lightningd_py.chain.source import NoOutput, Output
from lightningd_py.config.options import parse
from lightningd_py.database import Database
from tests.bench.harness import Bench, Row
from tests.lightningd_py.chain.canned_bitcoind import PASSWORD, USER, CannedBitcoind, Chain
from wire.scid import make_scid

TRANSACTIONS = 2_500
"""Of a block, as on the main chain."""
CHANNELS_A_BLOCK = 2
WINDOW = 1_000
SCRIPT = b"\x00\x20" + bytes(32)
FIRST = 10


class Mainnet(Chain):
    """As many full blocks as are asked for, made up as they are asked for."""

    tip = 100_000

    def hash_at(self, height: int) -> bytes:
        return super().hash_at(0) if height == 0 else sha256(b"%d" % height).digest()

    def getblockchaininfo(self) -> Any:
        return {"blocks": self.tip, "bestblockhash": self.hash_at(self.tip)[::-1].hex()}

    def getblockhash(self, height: int) -> Any:
        return self.hash_at(height)[::-1].hex()

    def getblock(self, block_hash: str, verbosity: int) -> Any:
        return {"tx": [f"{number:08x}{block_hash[8:]}" for number in range(TRANSACTIONS)]}

    def gettxout(self, txid: str, number: int, mempool: bool) -> Any:
        return {"value": 0.01, "scriptPubKey": {"hex": SCRIPT.hex()}}


def _serve(connection: Connection) -> None:
    async def run() -> None:
        async with CannedBitcoind(Mainnet()) as node:
            node.delay = 0.001
            connection.send(node.port)
            await asyncio.Event().wait()

    asyncio.run(run())


class _Follower:
    def __init__(self) -> None:
        self.ready = asyncio.Event()

    def new_blockheight(self, blockheight: int) -> None:
        self.ready.set()


class _Gauge:
    """How long 4 requests or more were in flight."""

    def __init__(self, source: Bitcoind) -> None:
        self.rpc = source.rpc
        self.seconds = [0.0, 0.0]
        self._last = time.monotonic()
        self._send = source.rpc._post
        source.rpc._post = self._post  # type: ignore[method-assign]

    def _note(self) -> None:
        now = time.monotonic()
        self.seconds[self.rpc.in_flight >= 4] += now - self._last
        self._last = now

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        self._note()
        try:
            return await self._send(body)
        finally:
            self._note()


async def _sync(source: Bitcoind, count: int) -> None:
    scids = (make_scid(FIRST + n // CHANNELS_A_BLOCK, 1 + n % CHANNELS_A_BLOCK, 0) for n in range(count))
    done = asyncio.Event()
    left = count

    def answered(answer: Output | NoOutput) -> None:
        nonlocal left
        assert isinstance(answer, Output)
        left -= 1
        ask()
        if not left:
            done.set()

    def ask() -> None:
        if (scid := next(scids, None)) is not None:
            source.look_up(scid, SCRIPT, answered)

    for _ in range(WINDOW):
        ask()
    await done.wait()


async def measure(bench: Bench) -> Iterator[Row]:
    """Two channels a block of 2,500 transactions; gossipd's window."""
    count = 2_000 if bench.quick else 10_000
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=_serve, args=(theirs,), daemon=True)
    server.start()
    port = ours.recv()
    where = [f"--bitcoin-rpcport={port}", f"--bitcoin-rpcuser={USER}", f"--bitcoin-rpcpassword={PASSWORD}"]
    database = Database(bench.directory / "db")
    source = Bitcoind(parse([f"--lightning-dir={bench.directory}", "--network=regtest", *where]), database)
    try:
        follower = _Follower()
        source.start(follower)  # type: ignore[arg-type]
        await follower.ready.wait()
        gauge = _Gauge(source)
        requests, received, cpu, began = (
            source.rpc.requests,
            source.rpc.received_bytes,
            time.process_time(),
            time.monotonic(),
        )
        await _sync(source, count)
        cpu, wall = time.process_time() - cpu, time.monotonic() - began
        requests, received = source.rpc.requests - requests, source.rpc.received_bytes - received
    finally:
        await source.close()
        database.close()
        os.kill(server.pid or 0, 15)
        server.join()
    return iter(
        [
            Row("a channel's output: our CPU", cpu / count * 1e6, "µs CPU"),
            Row("a channel's output: wall time", wall / count * 1e6, "µs"),
            Row("a channel's output: requests", requests / count, ""),
            Row("a channel's output: received", received / count / 1e3, "kB"),
            Row(
                "4 requests or more in flight",
                100 * gauge.seconds[1] / sum(gauge.seconds),
                "% of the time",
                target=">= 90",
            ),
        ]
    )
