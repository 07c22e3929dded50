"""A canned Bitcoin node, our side that follows it, and who is told: for tests of the chain source."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lightningd_py.chain.bitcoind import Bitcoind
from lightningd_py.chain.source import NoOutput, Output
from lightningd_py.config.options import Options, parse
from lightningd_py.database import Database
from tests.harness.waiting import until
from tests.lightningd_py.chain.canned_bitcoind import PASSWORD, USER, CannedBitcoind, Transaction
from wire.scid import make_scid

SCRIPT = b"\x00\x20" + b"\x07" * 32
AMOUNT = 123_456


class Heard:
    """What the chain's follower is told."""

    def __init__(self) -> None:
        self.heights: list[int] = []
        self.spent: list[tuple[int, list[int]]] = []
        self.undone: list[tuple[int, list[int]]] = []

    def new_blockheight(self, blockheight: int) -> None:
        self.heights.append(blockheight)

    async def outpoints_spent(self, blockheight: int, scids: list[int]) -> None:
        self.spent.append((blockheight, scids))

    async def reorganised(self, blockheight: int, unspent: list[int]) -> None:
        self.undone.append((blockheight, unspent))


class FollowedChain:
    """A canned node, a database that outlives our side, and our side."""

    def __init__(self, node: CannedBitcoind, directory: Path) -> None:
        self.node, self.chain, self.directory = node, node.chain, directory
        self.heard = Heard()

    def options(self) -> Options:
        return parse(
            [
                f"--lightning-dir={self.directory}",
                "--network=regtest",
                f"--bitcoin-rpcport={self.node.port}",
                f"--bitcoin-rpcuser={USER}",
                f"--bitcoin-rpcpassword={PASSWORD}",
            ]
        )

    @asynccontextmanager
    async def following(self, poll: float = 0.01) -> AsyncIterator[Bitcoind]:
        database = Database(self.directory / "db")
        source = Bitcoind(self.options(), database)
        source._retry, source._longest_retry, source._notices._poll = 0.005, 0.01, poll
        source.start(self.heard)
        try:
            yield source
        finally:
            await source.close()
            database.close()

    async def reached(self, height: int) -> None:
        async def there() -> bool:
            return self.heard.heights[-1:] == [height]

        await until(there, f"height {height} is not heard: {self.heard.heights}")

    def fund(self, count: int = 1) -> tuple[list[int], Transaction]:
        """A block with so many funding outputs in one transaction: their scids."""
        salt = self.chain.height
        tx = Transaction([bytes(31) + b"\1" + bytes(4)], [(AMOUNT, SCRIPT)] * count, salt, witness=True)
        height = self.chain.add(tx)
        return [make_scid(height, 1, number) for number in range(count)], tx

    def spend(self, tx: Transaction, output: int = 0) -> int:
        return self.chain.add(Transaction([tx.txid + bytes([output, 0, 0, 0])], [(1, b"\x51")], witness=True))


class Late:
    """The answer to the first request with this text in it waits from `asked` to `go_on`."""

    def __init__(self, source: Bitcoind, text: str) -> None:
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()
        self._text = text.encode()
        self._send = source.rpc._post
        source.rpc._post = self._post  # type: ignore[method-assign]

    async def _post(self, body: bytes) -> tuple[int, bytes]:
        answer = await self._send(body)
        if self._text in body and not self.asked.is_set():
            self.asked.set()
            await self.go_on.wait()
        return answer


async def look_up(source: Bitcoind, *scids: int, script: bytes = SCRIPT) -> list[Output | NoOutput]:
    loop = asyncio.get_running_loop()
    futures: list[asyncio.Future[Output | NoOutput]] = [loop.create_future() for _ in scids]
    for scid, future in zip(scids, futures, strict=True):
        source.look_up(scid, script, future.set_result)
    async with asyncio.timeout(60):
        return await asyncio.gather(*futures)


async def until_warning(source: Bitcoind, text: str) -> None:
    async def there() -> bool:
        return text in source.warning

    await until(there, f"no warning with {text!r}: {source.warning!r}")
