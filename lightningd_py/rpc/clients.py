"""Clients of the JSON-RPC socket: accepted, and never so many that no other gets in.

When there are too many, the one that has been waited for longest goes: first of those that have not said a whole
request, then of those that do not take their answer, and at last of those whose request is in hand.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import field

from lightningd_py.rpc.connection import Client, ClientLeft, Doing, Gone, readable
from lightningd_py.rpc.notifications import Wanted
from wire.control.control_message import Fd
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

MAX_CLIENTS = 100
GRACE = 5.0
"""Seconds that a request in hand has to finish when the server closes."""
ACCEPT_PAUSE = 0.5
"""Seconds until the next try, when no more can be accepted."""

status = Status("jsonrpc")


@dataclass(frozen=True, slots=True)
class ClientsLeft:
    """All of them, and where they come in."""

    listener_fd: Fd
    clients: list[ClientLeft] = field(default_factory=list)


def accepted(listener: socket.socket) -> socket.socket:
    """One client. Raises BlockingIOError if none waits, OSError if it cannot be."""
    sock, _ = listener.accept()
    sock.setblocking(False)
    return sock


class Clients:
    """All of them, on the running loop."""

    def __init__(
        self,
        serve: Callable[[Client], Awaitable[None]],
        farewell: bytes,
        gone: Callable[[Client], None] = lambda client: None,
    ) -> None:
        """`gone` hears of each that has ended. `serve` deals with one to its end; Gone and ConnectionError end it, too.

        `farewell` is said to one that has to go before it has said a whole request.
        """
        self._serve = serve
        self._farewell = farewell
        self._tell_gone = gone
        self.accepted = self.refused = 0
        """Clients since this program began, and those of them that had to go to make room."""
        self._tasks: dict[Client, asyncio.Task[None]] = {}
        self._accepting: asyncio.Task[None] | None = None
        self._listener: socket.socket
        self._short = False
        """Whether none could be accepted at the last try."""
        self._open = asyncio.Event()
        self._open.set()

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._tasks))

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
            client = Client(sock, self._open, one.request, one.heard)
            client.hearing.outbox.put_first(one.unsaid)
            client.want(Wanted(one.enabled, frozenset(one.topics), one.progress, one.level))
            self._live_with(client)

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
        self.accepted += 1
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
        self._tell_gone(client)
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
        self.refused += 1
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
