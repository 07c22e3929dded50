"""What the tests of control channels have in common: ends that keep what they hear, and fds to send."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd, Request
from wire.control.control_wire import PeerAddrhint, ReachPeerReplyfail

Pair = tuple[socket.socket, socket.socket]


def fd_count() -> int:
    """How many fds this process has open, the one for counting them included."""
    return len(list(Path("/proc/self/fd").iterdir()))


def is_open(fd: int) -> bool:
    """Something is open under this number."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def new_pipe() -> tuple[Fd, Fd]:
    """A pipe: the end that is to travel, and the one that tells which pipe it was."""
    reader, writer = os.pipe()
    return Fd(reader), Fd(writer)


def same_pipe(one: int, other: int) -> bool:
    """Two fds are ends of one pipe."""
    return os.fstat(one).st_ino == os.fstat(other).st_ino


class End:
    """A control channel that keeps what it is told."""

    def __init__(self, sock: socket.socket, who: str, **options: Any) -> None:
        self.got: list[ControlMessage] = []
        self.reasons: list[str] = []
        self.heard = asyncio.Event()
        self.on_message: Callable[[ControlMessage], None] = self.got.append
        self.channel = ControlChannel(sock, who, self._take, self._closed, **options)

    def _take(self, message: ControlMessage) -> None:
        self.on_message(message)
        self.heard.set()

    def _closed(self, reason: str) -> None:
        self.reasons.append(reason)
        self.heard.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for messages or the end until it is so."""
        while not condition():
            self.heard.clear()
            await asyncio.wait_for(self.heard.wait(), 60)


def fill(sock: socket.socket) -> int:
    """Put hints into a socket until it takes no more; how many it took."""
    count = 0
    while True:
        try:
            sock.send(hint(count).encode()[0], socket.MSG_DONTWAIT)
        except BlockingIOError:
            return count
        count += 1


def hint(number: int, size: int = 1000) -> PeerAddrhint:
    """A message from the master to connectd."""
    return PeerAddrhint(number.to_bytes(33, "big"), "x" * size)


def long_reply(number: int) -> ControlMessage:
    """A message from connectd to the master that answers no question."""
    return ReachPeerReplyfail("x" * 1000, 400, [("", str(number))])


def numbers(messages: list[ControlMessage]) -> list[int]:
    """Of hints."""
    return [int.from_bytes(message.node_id, "big") for message in messages if isinstance(message, PeerAddrhint)]


def as_request(message: ControlMessage) -> Request:
    """A received message that is to be answered."""
    assert isinstance(message, Request)
    return message
