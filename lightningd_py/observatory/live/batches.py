"""Batches as recorders send them, each once. The server keeps nothing for those who only look: no stream is read.

A reader that is too slow loses batches: how many of a run are missing stands in what comes next.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import NamedTuple

import pyarrow as pa
from nats.aio.client import Client
from nats.aio.msg import Msg

from lightningd_py.observatory.jetstream.bodies import Unreadable, batch_in, row_in
from lightningd_py.observatory.jetstream.connecting import BACK, FAILURES, PAUSE, Access, connect, reason
from lightningd_py.observatory.jetstream.left_out import LeftOut
from lightningd_py.observatory.jetstream.names import BatchId, subject, token
from lightningd_py.observatory.record.writing import Trouble
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.schemas import batch
from wire.control.shares import Shares

MOST_RUNS = 10_000
"""Of recorders, whose last batches are remembered, with a share for each vantage point."""
MOST_MESSAGES, MOST_BYTES = 20_000, 64 << 20
"""Of a table, that wait in this process."""


class Batch(NamedTuple):
    """Rows of one vantage point; `lost`: batches of the same run and table that are missing before."""

    table: str
    vantage: str
    rows: pa.RecordBatch
    lost: int


Take = Callable[[Batch], None]


class Live:
    """Of all vantage points, or of those that are named."""

    def __init__(
        self,
        access: Access,
        network: str,
        vantages: Collection[str],
        tables: Collection[str],
        say: Callable[[str], None],
        left_out: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        """`tables`: those that are wanted. `say` hears of a server that goes and comes, `left_out` of what is no
        batch, within bounds."""
        self._access, self._network, self._tables = access, network, tables
        self._tokens = [token(vantage) for vantage in vantages]
        self._say = say
        self._trouble = Trouble(say, BACK)
        self._left_out = LeftOut(left_out, lambda *row: None)
        self._last: Shares[tuple[str, int, str], int] = Shares(MOST_RUNS)

    async def run(self, take: Take, is_there: Callable[[], None] = lambda: None) -> None:
        """Until it is cancelled. `is_there` is called whenever it is connected, or is so again. Raises ObservatoryError
        if no server can be reached at first; later it is tried on."""
        client = await self._subscribed(take, is_there)
        is_there()
        try:
            while True:
                await asyncio.sleep(PAUSE)
                self._left_out.look()
                if client.is_closed:
                    client = await self._again(client, take, is_there)
        finally:
            self._left_out.end()
            await _close(client)

    async def _again(self, client: Client, take: Take, is_there: Callable[[], None]) -> Client:
        """In the place of one that a server has closed for good; that one if there is no other yet."""
        if not self._trouble.sentence:
            self._trouble.is_now(f"NATS has ended the connection ({_why(client)}); another one is made")
        try:
            client = await self._subscribed(take, is_there)
        except ObservatoryError as error:
            self._trouble.is_now(f"{error}; it is tried again until it is there")
            return client
        self._trouble.is_now("")
        is_there()
        return client

    async def _subscribed(self, take: Take, is_there: Callable[[], None]) -> Client:
        """Raises ObservatoryError."""
        client = await connect(self._access, "live", self._say, is_there)
        try:
            await self._subscribe(client, take)
        except BaseException as error:
            await _close(client)
            if isinstance(error, FAILURES):
                raise ObservatoryError(f"{self._access.url}: {reason(error)}") from error
            raise
        return client

    async def _subscribe(self, client: Client, take: Take) -> None:
        """Raises FAILURES."""
        for table in self._tables:

            async def hear(message: Msg, table: str = table) -> None:
                self._hear(table, message, take)

            for last in self._lasts(table):
                where = subject(self._network, table, last)
                await client.subscribe(where, cb=hear, pending_msgs_limit=MOST_MESSAGES, pending_bytes_limit=MOST_BYTES)

    def _lasts(self, table: str) -> list[str]:
        """Of their subjects; that of a message ends with its type."""
        return self._tokens if self._tokens and table != "messages" else ["*"]

    def _hear(self, table: str, message: Msg, take: Take) -> None:
        headers = message.headers or {}
        try:
            if table == "messages":
                row = row_in(message.data, headers)
                take(Batch(table, row[1], batch(table, [row]), 0))
                return
            id = BatchId.parse(headers.get("Nats-Msg-Id", ""))
            rows = batch_in(table, id, message.subject, message.data, headers)
        except Unreadable as error:
            self._left_out.add(table, f"a message at {message.subject}", None, error)
            return
        assert id is not None
        key = id.vantage, id.epoch, table
        last = self._last.get(key)
        if last is None or id.number > last:
            self._last.put(key, id.number, id.vantage)
            take(Batch(table, rows.column("vantage")[0].as_py(), rows, 0 if last is None else id.number - last - 1))


async def _close(client: Client) -> None:
    with contextlib.suppress(*FAILURES):
        await client.close()


def _why(client: Client) -> str:
    return "it does not say why" if client.last_error is None else reason(client.last_error)
