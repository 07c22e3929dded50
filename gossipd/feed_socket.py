"""The feed's ZMQ socket: XPUB, bound by gossipd itself, so that a feed costs the master nothing.

XPUB says who subscribes to what, and drops what a subscriber's queue has no room for; `seq` shows it to him. A queue is
bounded by messages, not by bytes, and a stranger may make gossip 65,535 bytes long. So what is large is counted until
ZMQ has let go of it, and is left out, for everybody, while too much of it is on its way.
"""

import asyncio
import contextlib
import math
import os
from collections.abc import Callable
from pathlib import Path

import zmq

from wire.feed import IPC, FeedError
from wire.sockets import answers
from wire.status import Status

LARGE = 4_096
"""Bytes of a message that are counted singly: usual gossip is a tenth of that."""
MOST_LARGE = 64 << 20
"""Bytes of large messages that may be on their way to subscribers."""
AT_ONCE = 100
"""Subscriptions that are read in one turn of the loop."""
LONGEST_SUBSCRIPTION = 1_024
"""Bytes; who sends more is disconnected."""
LOOK_AGAIN = 1.0
"""Seconds until it is looked again which large messages are still there."""

status = Status("gossipd")


class _Large:
    """The large messages that ZMQ still holds for somebody."""

    def __init__(self) -> None:
        self._held: list[tuple[zmq.MessageTracker, int]] = []
        self._bytes = 0
        self._looked = -math.inf

    def has_room(self, now: float) -> bool:
        """Whether one more may be sent. `now` in seconds of any clock."""
        if self._bytes >= MOST_LARGE and now - self._looked >= LOOK_AGAIN:
            self._looked = now
            self._held = [held for held in self._held if not held[0].done]
            self._bytes = sum(size for _, size in self._held)
        return self._bytes < MOST_LARGE

    def send(self, socket: zmq.Socket[bytes], body: bytes) -> None:
        """Send it, and keep it in mind."""
        tracker = socket.send(body, zmq.NOBLOCK, copy=False, track=True)
        self._held.append((tracker, len(body)))
        self._bytes += len(body)


class FeedSocket:
    """Publishes frames; `subscribed` hears of subscriptions. No thread of ours: ZMQ has its own, for I/O."""

    def __init__(self, endpoint: str, queue: int) -> None:
        """Bound from here on. `queue`: messages that may wait for each subscriber. Raises FeedError, one sentence."""
        self.subscribed: Callable[..., None] = lambda prefix, *, wanted: None
        self._loop = asyncio.get_running_loop()
        self._context = zmq.Context(io_threads=1)
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.XPUB)
        self._socket.copy_threshold = 0  # what is sent without a copy is meant to be
        self._path = Path(endpoint.removeprefix(IPC))
        self._will_read = False
        self._large = _Large()
        try:
            self._bind(endpoint, queue)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._fd = int(self._socket.getsockopt(zmq.FD))
        self._loop.add_reader(self._fd, self._read)

    def _bind(self, endpoint: str, queue: int) -> None:
        """The socket's file is for its owner only from the first moment on; that of a killed node is replaced."""
        for option, value in ((zmq.LINGER, 0), (zmq.SNDHWM, queue), (zmq.MAXMSGSIZE, LONGEST_SUBSCRIPTION)):
            self._socket.setsockopt(option, value)
        if self._path.exists() and not self._path.is_socket():
            raise FeedError(f"cannot publish on {self._path}: it is in the way, and no socket")
        if self._path.is_socket() and answers(str(self._path)):
            raise FeedError(f"cannot publish on {self._path}: another process listens there")
        umask = os.umask(0o177)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise FeedError(f"cannot publish on {self._path}: {error.strerror}") from error
        finally:
            os.umask(umask)

    def send(self, topic: bytes, body: bytes) -> None:
        """To everybody who takes the topic and has room for it. Never waits."""
        if len(body) < LARGE:
            self._socket.send(topic, zmq.NOBLOCK | zmq.SNDMORE)
            self._socket.send(body, zmq.NOBLOCK)
        elif self._large.has_room(self._loop.time()):
            self._socket.send(topic, zmq.NOBLOCK | zmq.SNDMORE)
            self._large.send(self._socket, body)
        if not self._will_read:  # sending takes the fd's edge away where a subscription has come meanwhile
            self._will_read = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._will_read = False
        if self._socket.closed:
            return
        for _ in range(AT_ONCE):
            try:
                frame = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            if frame[:1] in (b"\0", b"\1"):
                self.subscribed(frame[1:], wanted=frame[0] == 1)
        self._will_read = True
        self._loop.call_soon(self._read)

    def close(self) -> None:
        """Unbind; what waits for subscribers is dropped, and the file is gone."""
        self._loop.remove_reader(self._fd)
        self._context.destroy(linger=0)
        with contextlib.suppress(OSError):
            self._path.unlink()
