"""The recorder's spool, sent to JetStream by a thread beside the recording, which never waits for it.

Of each table a window of batches is in flight; the position moves when the server has acknowledged all of them, and
what was not acknowledged is sent again under the same ids, which the server knows for ten minutes and an archive for
ever. NATS away, full or slow: the spool keeps it, within its quota.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from nats.aio.client import Client

from lightningd_py.observatory.jetstream.connecting import FAILURES, PAUSE, Access, connect, end, pause, reason
from lightningd_py.observatory.jetstream.lease import RENEW, Lease, Taken, identity
from lightningd_py.observatory.jetstream.names import (
    HEARD_HEADER,
    SCHEMA,
    SCHEMA_HEADER,
    STREAM_OF,
    TIME_HEADER,
    VANTAGE_HEADER,
    subject,
    token,
)
from lightningd_py.observatory.jetstream.outbox import Outbox, Waiting
from lightningd_py.observatory.jetstream.streams import check_streams
from lightningd_py.observatory.record.writing import Trouble
from lightningd_py.observatory.tables.errors import ObservatoryError

IN_FLIGHT = {"arrivals": 40, "messages": 4, "peers": 4, "map": 8, "clock": 4, "losses": 4}
"""Batches of each table that are sent before the first of them is acknowledged: 64 in all."""
ANSWERED = 10.0
"""Seconds in which the server has to acknowledge a window."""
LOOK_EVERY, SAVE_EVERY, CLEAN_EVERY = 0.25, 1.0, 60.0
"""Seconds between looks at the spool, between savings of the position, between looks for segments that are old."""
LONGEST_PAUSE = 10.0
HURRY = 5.0
"""Seconds that are left for what waits when the recorder ends; the rest is sent by the next one."""

assert sum(IN_FLIGHT.values()) == 64 and IN_FLIGHT.keys() == STREAM_OF.keys()


class Sending(NamedTuple):
    """How it is sent. `keep`: seconds that a segment stays after the server has had it."""

    access: Access
    network: str
    keep: float = 48 * 3600.0


class Progress(NamedTuple):
    """As of now. `waiting_bytes`: of the spool, that the server has not got. `trouble`: empty if none. `ahead_ns`: by
    how much the clock here is ahead of the server's."""

    batches: int
    waiting_bytes: int
    trouble: str
    ahead_ns: int


class Message(NamedTuple):
    """One message to the server."""

    subject: str
    body: bytes
    headers: dict[str, str]


def messages_of(network: str, waiting: Waiting) -> Iterator[Message]:
    """A batch as it is sent: one message, or, of the table `messages`, one for each row."""
    id = waiting.id
    if id.table != "messages":
        headers = {"Nats-Msg-Id": str(id), SCHEMA_HEADER: SCHEMA}
        yield Message(subject(network, id.table, token(id.vantage)), waiting.body, headers)
        return
    for row in pa.ipc.open_stream(waiting.body).read_all().to_pylist():
        headers = {
            "Nats-Msg-Id": row["sha256"].hex(),
            SCHEMA_HEADER: SCHEMA,
            VANTAGE_HEADER: row["vantage"],
            TIME_HEADER: str(row["first_seen_ns"]),
            HEARD_HEADER: str(int(row["heard"])),
        }
        yield Message(subject(network, "messages", str(row["type"])), row["raw"], headers)


class Publisher:
    """Sends until `stop`. The folder's lock is the recorder's."""

    def __init__(self, folder: Path, vantage: str, sending: Sending, say: Callable[[str], None]) -> None:
        """`vantage` as in file names. Raises OSError."""
        self._outbox = Outbox(folder, vantage)
        self._vantage = vantage
        self._sending = sending
        self._say = say
        self._trouble = Trouble(say, "batches are sent")
        self._clock_trouble = Trouble(say, "the clock here agrees with that of the NATS server")
        self._lease = Lease(identity(folder, vantage), vantage, sending.network)
        self._batches = 0
        self._waiting_bytes = self._outbox.waits()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._stop_asked = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="publisher")

    def start(self) -> None:
        """From here on."""
        self._thread.start()

    def stop(self) -> None:
        """Send what waits if that is quick, and end."""
        self._stop_asked.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def progress(self) -> Progress:
        """As of now."""
        return Progress(self._batches, self._waiting_bytes, self._trouble.sentence, self._lease.ahead_ns)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self._stop_asked.is_set():
            self._stopping.set()
        try:
            while not self._stopping.is_set():
                client = await self._connected()
                if client is not None:
                    await self._work(client)
        except Exception as error:  # the recording goes on
            self._trouble.is_now(f"nothing is sent any more, by a mistake of ours ({error!r}); the spool keeps it")
            raise

    async def _work(self, client: Client) -> None:
        """Until it is to end, or a server has closed the connection for good."""
        working = [asyncio.create_task(self._send_all(client, table)) for table in IN_FLIGHT]
        working.append(asyncio.create_task(self._keep_house()))
        working.append(asyncio.create_task(self._keep_lease(client)))
        try:
            while not self._stopping.is_set() and not client.is_closed:
                await pause(self._stopping, SAVE_EVERY)
                for task in working:
                    if task.done() and not self._stopping.is_set():
                        task.result()
            await asyncio.wait(working, timeout=0.0 if client.is_closed else HURRY)
        finally:
            await end(*working)
            await self._leave(client)

    async def _leave(self, client: Client) -> None:
        self._save()
        for last in (self._lease.leave(client), client.close()):
            with contextlib.suppress(*FAILURES):
                async with asyncio.timeout(1.0):
                    await last

    async def _keep_lease(self, client: Client) -> None:
        """Renew it until it is to end; another recorder that has it is waited for."""
        while not self._stopping.is_set():
            await pause(self._stopping, RENEW if await self._hold_lease(client) else PAUSE)

    async def _hold_lease(self, client: Client) -> bool:
        try:
            await self._lease.hold(client)
        except Taken as error:
            self._trouble.is_now(f"{error}; the spool keeps what is recorded")
        except FAILURES as error:
            if not self._lease.is_held():
                self._trouble.is_now(f"NATS: {reason(error)}; the spool keeps what is recorded")
        else:
            self._clock_trouble.is_now(self._lease.clock_trouble())
            return True
        return False

    async def _connected(self) -> Client | None:
        """None if it is to end before there is a server."""
        while not self._stopping.is_set():
            try:
                client = await connect(self._sending.access, f"recorder {self._vantage}", self._say)
                await self._until_right(client)
            except ObservatoryError as error:
                self._trouble.is_now(f"{error}; the spool keeps what is recorded")
                await pause(self._stopping, PAUSE)
            else:
                return client
        return None

    async def _until_right(self, client: Client) -> None:
        """The streams may be made later, and another recorder of this name may end. Returns also when a server has
        closed the connection for good."""
        while not self._stopping.is_set() and not client.is_closed:
            try:
                await check_streams(client, self._sending.network, leases=True)
            except ObservatoryError as error:
                self._trouble.is_now(f"{error}; the spool keeps what is recorded")
            except FAILURES as error:
                self._trouble.is_now(f"NATS: {reason(error)}; the spool keeps what is recorded")
            else:
                if await self._hold_lease(client):
                    self._trouble.is_now("")
                    return
            await pause(self._stopping, PAUSE)

    async def _send_all(self, client: Client, table: str) -> None:
        """One window after the other, until nothing waits and it is to end."""
        seconds = LOOK_EVERY
        while True:
            if not self._lease.is_held() and not self._stopping.is_set():
                await pause(self._stopping, LOOK_EVERY)
                continue
            window = self._next(table) if self._lease.is_held() else []
            if not window and self._stopping.is_set():
                return
            failure = await self._send(client, window) if window else None
            if failure is not None:
                self._trouble.is_now(f"NATS does not take what is recorded: {failure}; the spool keeps it")
                seconds = min(2 * seconds, LONGEST_PAUSE)
                if self._stopping.is_set():
                    return
            elif window:
                self._trouble.is_now("")
                seconds = LOOK_EVERY
                self._outbox.sent(table, window[-1].after)
                self._batches += len(window)
            if failure is not None or len(window) < IN_FLIGHT[table]:
                await pause(self._stopping, seconds)

    def _next(self, table: str) -> list[Waiting]:
        try:
            return self._outbox.next(table, IN_FLIGHT[table])
        except OSError as error:
            self._trouble.is_now(f"the spool cannot be read: {error}")
            return []

    async def _send(self, client: Client, window: list[Waiting]) -> str | None:
        """All of them, side by side; why not, if one was not acknowledged."""
        stream = client.jetstream()
        sent = [
            stream.publish(each.subject, each.body, timeout=ANSWERED, headers=each.headers)
            for waiting in window
            for each in messages_of(self._sending.network, waiting)
        ]
        answers = await asyncio.gather(*sent, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, FAILURES):
                return reason(answer)
            if isinstance(answer, BaseException):
                raise answer
        return None

    async def _keep_house(self) -> None:
        """The position is saved, what is old is removed."""
        seconds = 0.0
        while not self._stopping.is_set():
            await pause(self._stopping, SAVE_EVERY)
            self._save()
            seconds += SAVE_EVERY
            if seconds >= CLEAN_EVERY:
                seconds = 0.0
                with contextlib.suppress(OSError):
                    self._outbox.remove_older(self._sending.keep)

    def _save(self) -> None:
        """A position that is not saved costs batches that are sent twice, which are known by their ids."""
        with contextlib.suppress(OSError):
            self._outbox.save()
            self._waiting_bytes = self._outbox.waits()
