"""From the streams into a folder as a recorder writes it: the history commands read both alike.

Position-based: each table is read from where its last whole batch in the spool stands in the stream, by a consumer that
acknowledges nothing and is made again when its numbers have a gap. So any number of archives read side by side, none
can lose anything for another, and what a kill has not let into the spool is simply read again.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nats.errors
import nats.js.errors
import pyarrow as pa
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext

from lightningd_py.observatory.jetstream.bodies import Unreadable, batch_in, row_in
from lightningd_py.observatory.jetstream.connecting import (
    FAILURES,
    PAUSE,
    Access,
    connect,
    end,
    pause,
    reason,
    stream_info,
)
from lightningd_py.observatory.jetstream.left_out import LeftOut
from lightningd_py.observatory.jetstream.names import ARCHIVE, STREAM_OF, BatchId, subject
from lightningd_py.observatory.jetstream.points import Points
from lightningd_py.observatory.jetstream.positions import known_positions, mend, place, save_positions
from lightningd_py.observatory.jetstream.streams import check_streams
from lightningd_py.observatory.jetstream.tally import Tally
from lightningd_py.observatory.record.conversion import closed_segments
from lightningd_py.observatory.record.conversions import Conversions
from lightningd_py.observatory.record.rows import MOST_ROWS
from lightningd_py.observatory.record.spool import DiskError, Spool
from lightningd_py.observatory.record.writing import Trouble
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.names import hour_of
from lightningd_py.observatory.tables.schemas import TABLES, batch

AT_ONCE = 200
"""Messages that are asked for at a time."""
WAIT = 1.0
"""Seconds for the first of them. After IDLE times nothing, the consumer is asked whether it is still there."""
IDLE = 5
FORGOTTEN = 60.0
"""Seconds after which the server forgets a consumer that is not asked."""
TURN, SYNC_EVERY, SEGMENT_TIME, GRACE = 0.5, 1.0, 60.0, 5.0
UNREADABLE, EXPIRED = "unreadable", "expired"
"""In `losses.why`: a message that was left out; the stream no longer had what comes next."""


class Settings(NamedTuple):
    """`convert_every`: seconds from one conversion to the next besides that of each hour's end."""

    folder: Path
    access: Access
    network: str = "bitcoin"
    convert_every: float = 3600.0


class Gap(Exception):
    """The consumer has lost something on its way: it is made again."""


class Archiver:
    """Archives until `stop`. The lock on the folder is the caller's (record/lock.py)."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        """Mends what an archiver that was killed has left. Raises OSError."""
        self._settings = settings
        self._say = say
        self._trouble = Trouble(say, "the streams are read")
        self._disk = Trouble(say, "archiving goes on")
        mend(settings.folder, ARCHIVE)
        self._positions = known_positions(settings.folder, ARCHIVE)
        self._spool = Spool(settings.folder, ARCHIVE, time.time_ns())
        self._conversions = Conversions(settings.folder, ARCHIVE, leave=save_positions)
        self._messages: list[tuple[Any, ...]] = []
        self._messages_last = self._positions["messages"].last
        self.points = Points(say)
        self.tally = Tally()
        self._left_out = LeftOut(say, lambda table, first, count: self._lose(table, first, count, UNREADABLE))
        self._hour = hour_of(time.time_ns())
        self._stopping = asyncio.Event()
        now = time.monotonic()
        self._sync_at, self._rotate_at, self._convert_at = now, now + SEGMENT_TIME, now + settings.convert_every

    @property
    def trouble(self) -> str:
        """What is wrong now; empty if nothing is."""
        return self._trouble.sentence or self._disk.sentence

    def stop(self) -> None:
        """Let `run` end. For the loop's thread."""
        self._stopping.set()

    async def run(self) -> None:
        """Until `stop`; servers that are away are tried again for ever."""
        try:
            while not self._stopping.is_set():
                client = await self._connected()
                if client is not None:
                    await self._keep_house(client)
                    await client.close()
        finally:
            self._flush()
            self._left_out.end()
            self._spool.close()
            self._conversions.wait()
            self._conversions.start(closed_segments(self._settings.folder, ARCHIVE, ()))
            self._conversions.wait()

    async def _connected(self) -> Client | None:
        while not self._stopping.is_set():
            try:
                client = await connect(self._settings.access, ARCHIVE, self._say)
                await check_streams(client, self._settings.network)
            except ObservatoryError as error:
                self._trouble.is_now(f"{error}; it is tried again until it is there")
            except FAILURES as error:
                self._trouble.is_now(f"NATS: {reason(error)}; it is tried again until it is there")
            else:
                self._trouble.is_now("")
                return client
            await pause(self._stopping, PAUSE)
        return None

    # reading

    async def _follow(self, client: Client, table: str) -> None:
        """One table's stream, by one consumer after the other."""
        while not self._stopping.is_set() and not client.is_closed:
            try:
                await self._read(client, table)
            except Gap:
                continue
            except DiskError as error:
                self._disk.is_now(f"nothing can be archived: {error}; the streams keep it meanwhile")
                await pause(self._stopping, PAUSE)
            except FAILURES as error:
                self._trouble.is_now(f"NATS: {reason(error)}; it is tried again until it is there")
                await pause(self._stopping, PAUSE)

    async def _read(self, client: Client, table: str) -> None:
        """From the position on, until `stop`. Raises Gap, DiskError and FAILURES."""
        start = self._next(table)
        await self._look_whether_expired(client, table, start)
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=FORGOTTEN,
        )
        filtered = subject(self._settings.network, table)
        asked = await client.jetstream().pull_subscribe(filtered, stream=STREAM_OF[table], config=config)
        self._trouble.is_now("")
        try:
            await self._fetch(asked, table)
        finally:
            with contextlib.suppress(*FAILURES):
                await asked.unsubscribe()

    async def _fetch(self, asked: JetStreamContext.PullSubscription, table: str) -> None:
        delivered = idle = 0
        while not self._stopping.is_set():
            try:
                found = await asked.fetch(AT_ONCE, timeout=WAIT)
            except (TimeoutError, nats.errors.TimeoutError):
                idle += 1
                if idle % IDLE == 0:
                    await asked.consumer_info()
                continue
            idle = 0
            for message in found:
                delivered += 1
                if message.metadata.sequence.consumer != delivered:
                    raise Gap
                self._take(table, message)
                self.tally.waiting[table] = message.metadata.num_pending or 0

    def _next(self, table: str) -> int:
        """Where its stream is to be read from: rows of messages that wait for their batch are read again."""
        if table == "messages":
            self._messages.clear()
            self._messages_last = self._positions[table].last
        return self._positions[table].last + 1

    async def _look_whether_expired(self, client: Client, table: str, start: int) -> None:
        info = await stream_info(client, STREAM_OF[table])
        if info is not None and 1 < start < info.state.first_seq:
            self._lose(table, start, None, EXPIRED)  # other tables' messages may have been among them
            self._positions[table].last = info.state.first_seq - 1

    # writing

    def _take(self, table: str, message: Msg) -> None:
        """Raises DiskError: then it is read again."""
        sequence = message.metadata.sequence.stream
        headers = message.headers or {}
        try:
            if table == "messages":
                self._take_row(sequence, row_in(message.data, headers))
                return
            id = BatchId.parse(headers.get("Nats-Msg-Id", ""))
            found = batch_in(table, id, message.subject, message.data, headers)
        except Unreadable as error:
            self._positions[table].last = max(self._positions[table].last, sequence)
            self._left_out.add(table, f"{STREAM_OF[table]}, message {sequence}", sequence, error)
            return
        if self._positions[table].would_take(sequence, id):
            self._write(table, found, sequence, id)
            self.points.heard(table, found)
        self._positions[table].take(sequence, id)

    def _take_row(self, sequence: int, row: tuple[Any, ...]) -> None:
        self._messages.append(row)
        self._messages_last = sequence
        if len(self._messages) >= MOST_ROWS:
            self._flush_messages()

    def _flush_messages(self) -> None:
        if self._messages:
            self._write("messages", batch("messages", self._messages), self._messages_last, None)
            self._positions["messages"].take(self._messages_last, None)
            self._messages.clear()

    def _write(self, table: str, found: pa.RecordBatch, sequence: int, id: BatchId | None) -> None:
        self._spool.write(table, found, place(sequence, id))
        self._disk.is_now("")
        self.tally.batches[table] += 1
        self.tally.rows[table] += found.num_rows

    def _lose(self, table: str, first: int | None, count: int | None, why: str) -> None:
        self.tally.losses[table, why] += 1
        row = (time.time_ns(), ARCHIVE, None, table, first, count, why)
        with contextlib.suppress(DiskError):
            self._spool.write("losses", batch("losses", [row]), place(self._positions["losses"].last, None))

    # by the clock

    async def _keep_house(self, client: Client) -> None:
        """Until `stop`, a server has closed the connection for good, or a reading fails, which is a bug."""
        reading = [asyncio.create_task(self._follow(client, table)) for table in TABLES]
        try:
            while not self._stopping.is_set() and not client.is_closed:
                await pause(self._stopping, TURN)
                for task in reading:
                    if task.done() and not self._stopping.is_set():
                        task.result()
                self._turn(time.monotonic())
        finally:
            await asyncio.wait(reading, timeout=0.0 if client.is_closed else 2 * WAIT)
            await end(*reading)

    def _turn(self, now: float) -> None:
        """All that is due."""
        self._flush()
        if now >= self._sync_at:
            self._sync()
            self._sync_at = now + SYNC_EVERY
        if now >= self._rotate_at:
            self._spool.close()
            self._rotate_at = now + SEGMENT_TIME
        self.points.look(time.time_ns())
        self._left_out.look()
        if self._convert(now >= self._convert_at):
            self._convert_at = now + self._settings.convert_every

    def _flush(self) -> None:
        try:
            self._flush_messages()
        except DiskError as error:
            self._disk.is_now(f"nothing can be archived: {error}; the streams keep it meanwhile")

    def _sync(self) -> None:
        try:
            self._spool.sync()
        except DiskError as error:
            self._disk.is_now(f"the disk does not keep what is written: {error}")

    def _convert(self, is_due: bool) -> bool:
        failed = self._conversions.failure()
        if failed:
            self._say(f"no hour files could be written, it is tried again: {failed}")
        hour = hour_of(time.time_ns() - int(GRACE * 1e9))
        if self._conversions.is_running or (hour <= self._hour and not is_due):
            return False
        self._hour = hour
        self._spool.close()
        self._conversions.start(closed_segments(self._settings.folder, ARCHIVE, self._spool.paths))
        return True
