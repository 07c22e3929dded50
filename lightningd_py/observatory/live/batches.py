"""Batches as recorders send them, each once. The server keeps nothing for those who only look: no stream is read.

Who reads too slowly loses batches: how many of a run are missing stands in what comes next.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import NamedTuple

import pyarrow as pa
from nats.aio.client import Client
from nats.aio.msg import Msg

from lightningd_py.observatory.jetstream.bodies import Unreadable, batch_in, row_in
from lightningd_py.observatory.jetstream.connecting import FAILURES, PAUSE, Access, connect
from lightningd_py.observatory.jetstream.names import BatchId, subject, token
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.schemas import batch
from wire.control.shares import Newest

MOST_RUNS = 10_000
"""Of recorders, whose last batches are remembered."""
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
        batch, for the same reason once."""
        self._access, self._network, self._tables = access, network, tables
        self._tokens = [token(vantage) for vantage in vantages]
        self._say, self._left_out = say, left_out
        self._last: Newest[tuple[str, int, str], int] = Newest(MOST_RUNS)
        self._wrong = ""

    async def run(self, take: Take, stopping: asyncio.Event, is_there: Callable[[], None] = lambda: None) -> None:
        """Until `stopping`. `is_there` is called once it is connected. Raises ObservatoryError if no server can be
        reached at first; later it is tried on."""
        client = await self._subscribed(take)
        is_there()
        try:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PAUSE):
                        await stopping.wait()
                if client.is_closed:
                    with contextlib.suppress(ObservatoryError):
                        client = await self._subscribed(take)
        finally:
            with contextlib.suppress(*FAILURES):
                await client.close()

    async def _subscribed(self, take: Take) -> Client:
        client = await connect(self._access, "live", self._say)
        for table in self._tables:

            async def hear(message: Msg, table: str = table) -> None:
                self._hear(table, message, take)

            for last in self._lasts(table):
                where = subject(self._network, table, last)
                await client.subscribe(where, cb=hear, pending_msgs_limit=MOST_MESSAGES, pending_bytes_limit=MOST_BYTES)
        return client

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
            if str(error) != self._wrong:
                self._wrong = str(error)
                self._left_out(f"{message.subject}: a message is left out: {error}")
            return
        assert id is not None
        key = id.vantage, id.epoch, table
        last = self._last.get(key)
        if last is None or id.number > last:
            self._last.put(key, id.number)
            take(Batch(table, rows.column("vantage")[0].as_py(), rows, 0 if last is None else id.number - last - 1))
