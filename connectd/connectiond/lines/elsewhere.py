"""A Line whose socket is in another process, or in another thread: our end of what `separate.py` is the other end of.

Each has just the fds that are its own: a process its control socket, over which the connection comes.
"""

import asyncio
import contextlib
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from connectd.connectiond.lines.carrier import WINDOW, Separate
from connectd.connectiond.lines.line import LineEvents
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import Disconnect, PeerDisconnected, PeerInfo, PeerWords, TakePeer, WordsTaken
from wire.control.daemon import EXIT_OK, run
from wire.control.process import Process
from wire.control.status import Status
from wire.start.python import command

CONTROL_FD = 3
END_TIME = 8.0
"""Seconds that a connection has to end, its last words included."""

status = Status("connectiond")


class Carrier(Protocol):
    """What runs the other end."""

    async def wait(self, patience: float) -> bool:
        """Wait until it has ended, so many seconds at most where it can be killed."""

    def kill(self) -> None:
        """End it at once, if that can be done."""


StartCarrier = Callable[[socket.socket, Callable[[int], None]], Carrier]
"""Gets the other end's socket, and what is to be called with the exit status. Raises OSError or RuntimeError."""


def process_starter(log_level: str) -> StartCarrier:
    """Starts a process for each connection."""

    def start(theirs: socket.socket, on_exit: Callable[[int], None]) -> Carrier:
        argv = command("connectd.connectiond.lines.carrier", str(CONTROL_FD), log_level)
        try:
            return Process(argv, {CONTROL_FD: theirs.fileno()}, on_exit, "connection", ours=True)
        finally:
            theirs.close()

    return start


class InThread:
    """A thread with its own loop. It cannot be killed: it ends when its control socket does."""

    def __init__(self, theirs: socket.socket, on_exit: Callable[[int], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._on_exit = on_exit
        self._thread = threading.Thread(target=self._run, args=(theirs,), name="connection")
        self._thread.start()

    def _run(self, theirs: socket.socket) -> None:
        exit_status = run("connectiond", lambda stop: Separate(theirs, stop).close)
        with contextlib.suppress(RuntimeError):  # the loop has been closed: nothing waits
            self._loop.call_soon_threadsafe(self._exited, exit_status)

    def _exited(self, exit_status: int) -> None:
        self._thread.join()
        self._ended.set_result(None)
        self._on_exit(exit_status)

    async def wait(self, patience: float) -> bool:
        """Wait until it has ended."""
        await self._ended
        return True

    def kill(self) -> None:
        """Nothing that could be done."""


class DistantLine:
    """A Line. Its other end is started with it; `on_exit` is called when that has ended, and nothing is left."""

    def __init__(
        self, taken: TakePeer, start: StartCarrier, events: LineEvents, on_exit: "Callable[[DistantLine], None]"
    ) -> None:
        """The connection is its own from here on. Raises OSError or RuntimeError if nothing can be started."""
        self._info = taken.peer
        self._events = events
        self._on_exit = on_exit
        self._here = True
        self._paused = False
        self.reason = ""
        """Why it has ended."""
        self._heard: deque[bytes] = deque()
        """What came while the line was paused: WINDOW messages at most."""
        self._again = 0
        """So many of them were heard before."""
        self._taken = 0
        self._loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._carrier = start(theirs, self._exited)
        except BaseException:
            ours.close()
            theirs.close()
            raise
        ours.setblocking(False)
        self._channel = ControlChannel(ours, "connectiond", self._from_it, self._lost)
        self._channel.send(taken)

    @property
    def peer(self) -> PeerInfo:
        """Who it is."""
        return self._info

    def say(self, message: bytes) -> None:
        """Behind all that was said before."""
        if self._here and not self._channel.closed:
            self._channel.send(PeerWords(message))

    def pause(self) -> None:
        """Hear nothing."""
        self._paused = True

    def resume(self) -> None:
        """Hear on, from the next turn."""
        if self._paused:
            self._paused = False
            self._loop.call_soon(self._hear)

    def hear_again(self, messages: list[bytes]) -> None:
        """These were heard and not dealt with: they come again, before all else, from the next turn of the loop."""
        self._heard.extendleft(reversed(messages))
        self._again += len(messages)
        self._loop.call_soon(self._hear)

    def end(self, reason: str, last_words: list[bytes]) -> None:
        """Close, when all that was said has gone out."""
        if self._here:
            self._here = False
            self.reason = reason
            if not self._channel.closed:
                self._channel.send(Disconnect(self._info.node_id, self._info.conn_id, last_words, reason))
            self._loop.call_later(END_TIME, self._carrier.kill)

    def close(self) -> None:
        """Nothing of it matters any more: its other end ends with ours."""
        self._here = False
        for message in self._channel.close():
            message.close_fds()

    async def wait(self) -> None:
        """Until nothing of it is left, after `end`."""
        await self._carrier.wait(END_TIME)

    # from the other end

    def _from_it(self, message: ControlMessage) -> None:
        match message:
            case PeerWords(message=words):
                if self._here:
                    self._heard.append(words)
                    self._hear()
            case WordsTaken(messages=count):
                if self._here:
                    self._events.sent(self, count)
            case PeerDisconnected(reason=reason):
                self._lost(reason)
            case _:
                message.close_fds()
                raise RuntimeError(f"{message.name()} is nothing that a connection says")

    def _hear(self) -> None:
        while self._here and not self._paused and self._heard:
            message = self._heard.popleft()
            if self._again:
                self._again -= 1
            else:
                self._took()
            self._events.heard(self, message)

    def _took(self) -> None:
        """Tell it, in steps."""
        self._taken += 1
        if self._taken >= WINDOW // 2 and not self._channel.closed:
            self._channel.send(WordsTaken(self._taken))
            self._taken = 0

    def _lost(self, reason: str) -> None:
        """What it had said before is heard first, if the hub still hears."""
        self._hear()
        if self._here:
            self._here = False
            self._heard.clear()
            self.reason = reason
            self._events.ended(self, reason)

    def _exited(self, exit_status: int) -> None:
        if exit_status != EXIT_OK:
            text = f"the connection's process has ended with status {exit_status}"
            status.by_stranger("connection's process", text, self._info.node_id, self._info.address)
        self._channel.close()
        self._lost("its process has ended")
        self._on_exit(self)
