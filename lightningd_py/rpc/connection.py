"""One client of the JSON-RPC socket: its requests are read, its answers and notifications written, with deadlines."""

import asyncio
import contextlib
import enum
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import field

from lightningd_py.rpc.json_stream import JsonSplitter
from lightningd_py.rpc.notifications import Hearing, Wanted
from wire.control.control_message import Fd
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

MAX_REQUEST = 4 << 20
READ_SIZE = WRITE_SIZE = 1 << 16
HALF_REQUEST_TIME = 30.0
"""Seconds that a request may take to come, from its first byte on. A client that says nothing may stay."""
ANSWER_TIME = 30.0
"""Seconds in which a client has to take WRITE_SIZE of its answer."""

status = Status("jsonrpc")


class HalfRequest(Exception):
    """The rest of a request does not come."""


class Gone(Exception):
    """A client has hung up, or is to be hung up on. The text says why."""


class Doing(enum.IntEnum):
    """What a client is about: who goes first, when there are too many."""

    SPEAKING = 0
    READING = 1
    WAITING = 2


@dataclass(frozen=True, slots=True)
class ClientLeft:
    """A client, for the next program of this process. `request` is in hand, and is carried out by that."""

    fd: Fd
    request: bytes | None = None
    heard: bytes = b""
    """Of the requests behind it."""
    unsaid: bytes = b""
    """Of its notifications."""
    topics: list[str] = field(default_factory=list)
    enabled: bool = False
    progress: bool = False
    level: str = "info"
    """As `notifications.Wanted` has them."""


class Client:
    """One connection. `since` is the loop's time of its last step."""

    def __init__(
        self, sock: socket.socket, open_: asyncio.Event, again: bytes | None = None, heard: bytes = b""
    ) -> None:
        """`sock` is non-blocking, and ours from now on. Requests are taken while `open_` is set. `again`: one that was
        in hand before; `heard`: what has come behind it.
        """
        self._sock = sock
        self._open = open_
        self._left = False
        self._splitter = JsonSplitter(MAX_REQUEST)
        self._again, self._heard = again, heard
        self._request: bytes | None = None
        self._loop = asyncio.get_running_loop()
        self.hearing = Hearing()
        self._turn = asyncio.Lock()
        """Whose holder may write."""
        self._unsaid = memoryview(b"")
        """The rest of the notification that is being written."""
        self._notifying: asyncio.Task[None] | None = None
        self.doing = Doing.SPEAKING
        self.since = self._loop.time()
        self.is_again = False
        """The request in hand was in hand before."""
        self.is_last = False
        """No more requests are taken."""

    def _is(self, doing: Doing) -> None:
        self.doing, self.since = doing, self._loop.time()

    async def next_request(self) -> bytes | None:
        """The next one; None if there will be none. Raises ParseError, HalfRequest, ConnectionError."""
        self._request = None
        if self._again is not None:
            self._is(Doing.WAITING)
            self._request, self._again, self.is_again = self._again, None, True
            return self._request
        self.is_again = False
        if self.is_last:
            return None
        self._is(Doing.SPEAKING)
        await self._open.wait()
        data, deadline = self._heard, None
        self._heard = b""
        while (request := next(self._splitter.feed(data), None)) is None:
            if deadline is None and self._splitter.unfinished:
                deadline = self._loop.time() + HALF_REQUEST_TIME
            if not (data := await self._read(deadline)):
                return None
        self._is(Doing.WAITING)
        self._request = request
        return request

    def leave(self) -> ClientLeft:
        """For the next program of this process; nothing is read or written here any more."""
        self._left = True
        heard = self._heard or self._splitter.rest
        unsaid = bytes(self._unsaid) + self.hearing.outbox.take_all()
        self._stop_notifying()
        wanted = self.hearing.wanted
        return ClientLeft(
            Fd(os.dup(self._sock.fileno())),
            self._request or self._again,
            heard,
            unsaid,
            sorted(wanted.topics),
            wanted.enabled,
            wanted.progress,
            wanted.level,
        )

    async def _read(self, deadline: float | None) -> bytes:
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    await self._open.wait()
                    with contextlib.suppress(BlockingIOError):
                        return self._sock.recv(READ_SIZE)
                    await readable(self._sock)
        except TimeoutError:
            raise HalfRequest(f"half a request for {HALF_REQUEST_TIME:g} s") from None

    async def write(self, data: bytes) -> None:
        """Done when all is on its way, notifications that wait first. Raises Gone for a client that does not read, or
        ConnectionError.
        """
        async with self._my_turn():
            left = memoryview(self.hearing.outbox.take_all() + data)
            while left:
                self._is(Doing.READING)
                async with _in_time():
                    await self._loop.sock_sendall(self._sock, left[:WRITE_SIZE])
                left = left[WRITE_SIZE:]

    @contextlib.asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        """A notification that is being written comes to its end first."""
        self._is(Doing.READING)
        async with _in_time():
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    @contextlib.asynccontextmanager
    async def lent(self) -> AsyncIterator[int]:
        """The socket's fd, for another process that writes the answer to it."""
        async with self._my_turn():
            yield self._sock.fileno()

    # notifications

    def want(self, wanted: Wanted) -> None:
        """What the client is told from now on."""
        self.hearing.wanted = wanted
        if wanted.enabled and self._notifying is None:
            self._notifying = self._loop.create_task(self._notify())

    async def _notify(self) -> None:
        """Each when there is room for it. A client that has gone, or does not read, is the reader's business."""
        outbox = self.hearing.outbox
        with contextlib.suppress(OSError):
            while True:
                await outbox.ready.wait()
                async with self._turn:
                    if outbox.waiting:
                        await self._say(outbox.take())

    async def _say(self, data: bytes) -> None:
        self._unsaid = memoryview(data)
        while self._unsaid:
            try:
                self._unsaid = self._unsaid[self._sock.send(self._unsaid) :]
            except BlockingIOError:
                await writable(self._sock)

    def _stop_notifying(self) -> None:
        if self._notifying is not None:
            self._notifying.cancel()

    def say_at_once(self, words: bytes) -> None:
        """What there is room for; then nothing more is said."""
        with contextlib.suppress(OSError):
            self._sock.send(words)

    def close(self) -> None:
        """Also for those who have the socket lent; not for the next program of this process."""
        self._stop_notifying()
        if not self._left:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def readable(sock: socket.socket) -> None:
    """There is something to be read, or to be accepted. Nothing is taken: so nothing is lost with a task that ends."""
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, _set, there)
    try:
        await there
    finally:
        loop.remove_reader(sock)


async def writable(sock: socket.socket) -> None:
    """There is room for something."""
    loop = asyncio.get_running_loop()
    room: asyncio.Future[None] = loop.create_future()
    loop.add_writer(sock, _set, room)
    try:
        await room
    finally:
        loop.remove_writer(sock)


@contextlib.asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    """Raises Gone if the client does not take any of its answer in time."""
    try:
        async with asyncio.timeout(ANSWER_TIME):
            yield
    except TimeoutError:
        status.unusual(f"a client takes nothing of its answer for {ANSWER_TIME:g} s: it is hung up on")
        raise Gone("it does not read") from None
