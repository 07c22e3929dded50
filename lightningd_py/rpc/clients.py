"""Clients of the JSON-RPC socket: accepted, read and written with deadlines, and never so many that no other gets in.

When there are too many, the one that has been waited for longest goes: first of those that have not said a whole
request, then of those that do not take their answer, and at last of those whose request is in hand.
"""

import asyncio
import contextlib
import enum
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lightningd_py.rpc.json_stream import JsonSplitter
from wire.control.control_message import Fd
from wire.control.status import Status

MAX_CLIENTS = 100
MAX_REQUEST = 4 << 20
READ_SIZE = WRITE_SIZE = 1 << 16
HALF_REQUEST_TIME = 30.0
"""Seconds that a request may take to come, from its first byte on. A client that says nothing may stay."""
ANSWER_TIME = 30.0
"""Seconds in which a client has to take WRITE_SIZE of its answer."""
GRACE = 5.0
"""Seconds that a request in hand has to finish when the server closes."""
ACCEPT_PAUSE = 0.5
"""Seconds until the next try, when no more can be accepted."""

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


@dataclass(frozen=True, slots=True)
class ClientsLeft:
    """All of them, and where they come in."""

    listener_fd: Fd
    clients: list[ClientLeft] = field(default_factory=list)


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
        return ClientLeft(Fd(os.dup(self._sock.fileno())), self._request or self._again, heard)

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
        """Done when all is on its way. Raises Gone for a client that does not read, or ConnectionError."""
        left = memoryview(data)
        while left:
            self._is(Doing.READING)
            try:
                async with asyncio.timeout(ANSWER_TIME):
                    await self._loop.sock_sendall(self._sock, left[:WRITE_SIZE])
            except TimeoutError:
                status.unusual(f"a client takes nothing of its answer for {ANSWER_TIME:g} s: it is hung up on")
                raise Gone("it does not read") from None
            left = left[WRITE_SIZE:]

    def lend(self) -> int:
        """The socket's fd, for another process that writes the answer to it."""
        self._is(Doing.READING)
        return self._sock.fileno()

    def say_at_once(self, words: bytes) -> None:
        """What there is room for; then nothing more is said."""
        with contextlib.suppress(OSError):
            self._sock.send(words)

    def close(self) -> None:
        """Also for those who have the socket lent; not for the next program of this process."""
        if not self._left:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def accepted(listener: socket.socket) -> socket.socket:
    """One client. Raises BlockingIOError if none waits, OSError if it cannot be."""
    sock, _ = listener.accept()
    sock.setblocking(False)
    return sock


async def readable(sock: socket.socket) -> None:
    """There is something to be read, or to be accepted. Nothing is taken: so nothing is lost with a task that ends."""
    loop = asyncio.get_running_loop()
    there: asyncio.Future[None] = loop.create_future()
    loop.add_reader(sock, _set, there)
    try:
        await there
    finally:
        loop.remove_reader(sock)


class Clients:
    """All of them, on the running loop."""

    def __init__(self, serve: Callable[[Client], Awaitable[None]], farewell: bytes) -> None:
        """`serve` deals with one to its end; Gone and ConnectionError end it, too.

        `farewell` is said to one that has to go before it has said a whole request.
        """
        self._serve = serve
        self._farewell = farewell
        self._tasks: dict[Client, asyncio.Task[None]] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._listener: socket.socket
        self._short = False
        """Whether none could be accepted at the last try."""
        self._open = asyncio.Event()
        self._open.set()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def writing(self) -> int:
        """How many are in the middle of their answers."""
        return sum(client.doing is Doing.READING for client in self._tasks)

    @property
    def requests(self) -> int:
        """How many wait for their answers."""
        return sum(client.doing is Doing.WAITING for client in self._tasks)

    def pause(self) -> None:
        """Accept none, and take no more requests of those who are there: what they say waits in their sockets."""
        self._open.clear()

    def go_on(self) -> None:
        """After `pause`."""
        self._open.set()

    def leave(self) -> ClientsLeft:
        """Let go of all, for the next program of this process. None may be `writing`."""
        left = ClientsLeft(Fd(os.dup(self._listener.fileno())), [client.leave() for client in self._tasks])
        for task in (*self._tasks.values(), self._accepting):
            if task is not None:
                task.cancel()
        self._listener.close()
        return left

    def resume(self, left: ClientsLeft) -> None:
        """Go on with the clients of the program before us."""
        self.begin(socket.socket(fileno=left.listener_fd))
        for one in left.clients:
            sock = socket.socket(fileno=one.fd)
            sock.setblocking(False)
            self._live_with(Client(sock, self._open, one.request, one.heard))

    def begin(self, listener: socket.socket) -> None:
        """Accept them; `listener` is ours from now on."""
        listener.setblocking(False)
        self._listener = listener
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listener))

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                await self._open.wait()
                sock = accepted(listener)
            except BlockingIOError:
                await readable(listener)
            except OSError as error:  # mostly: no fds are left
                self._cannot_accept(error)
                await asyncio.sleep(ACCEPT_PAUSE)
            else:
                self._short = False
                self._admit(sock)

    def _cannot_accept(self, error: OSError) -> None:
        if not self._short:
            status.unusual(f"no client can be accepted: {error.strerror}")
        self._short = True
        self._end_one(Doing.READING)

    def _admit(self, sock: socket.socket) -> None:
        if len(self._tasks) >= MAX_CLIENTS:
            self._end_one(Doing.WAITING)
        self._live_with(Client(sock, self._open))

    def _live_with(self, client: Client) -> None:
        task = self._tasks[client] = asyncio.get_running_loop().create_task(self._live(client))
        task.add_done_callback(lambda _: self._gone(client))

    async def _live(self, client: Client) -> None:
        try:
            await self._serve(client)
        except (Gone, ConnectionError) as reason:
            status.debug(f"a client has gone: {reason}")

    def _gone(self, client: Client) -> None:
        client.close()
        task = self._tasks.pop(client, None)
        if task is not None and not task.cancelled():
            task.result()

    def _end_one(self, most: Doing) -> None:
        """The one that has been waited for longest, if there is one that does no more than this."""
        client = min(self._tasks, key=lambda client: (client.doing, client.since), default=None)
        if client is None or client.doing > most:
            return
        if client.doing is Doing.SPEAKING:
            client.say_at_once(self._farewell)
        self._tasks.pop(client).cancel()
        client.close()

    async def close(self) -> None:
        """Accept no more, end those who say nothing, give requests in hand GRACE seconds, then end all."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._listener.close()
        for client, task in self._tasks.items():
            client.is_last = True
            if client.doing is Doing.SPEAKING:
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks.values(), timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
