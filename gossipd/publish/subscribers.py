"""How many prefixes each subscriber of the feed has brought: ZMQ keeps every one of them, for as long as it is there.

ZMQ tells of a prefix when the first subscriber brings it, with the fd of that connection, and when its last one is
gone. A subscriber that brings too many is disconnected, and with it goes all that it had. The fd is ZMQ's: it may be
closed by now, and its number another socket's, so it is shut down only if it is a connection of the feed's.
"""

import contextlib
import os
import socket
from collections import Counter

from wire.control.status import Status

MOST_SUBSCRIPTIONS = 100
"""Prefixes that one subscriber may have brought; there are 20 topics."""

status = Status("gossipd")


class Subscribers:
    """The prefixes in force, each counted for the connection that brought it first."""

    def __init__(self) -> None:
        self.endpoint = ""
        """Where the feed is bound, as ZMQ writes it."""
        self._brought: dict[bytes, int] = {}
        self._counts: Counter[int] = Counter()

    def heard(self, word: bytes, fd: int | None) -> None:
        """A subscription, or its end, from this connection. None: the connection has ended."""
        if word[:1] == b"\0":
            owner = self._brought.pop(word[1:], None)
            if owner is not None:
                self._forget_one(owner)
        elif word[:1] == b"\1" and fd is not None:
            self._brought[word[1:]] = fd
            self._counts[fd] += 1
            if self._counts[fd] > MOST_SUBSCRIPTIONS:
                self._disconnect(fd)

    def _forget_one(self, fd: int) -> None:
        self._counts[fd] -= 1
        if not self._counts[fd]:
            del self._counts[fd]

    def _disconnect(self, fd: int) -> None:
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as sock:
            if _endpoint_of(sock) == self.endpoint:
                sock.shutdown(socket.SHUT_RDWR)
                text = f"a subscriber of the feed wants more than {MOST_SUBSCRIPTIONS} prefixes: disconnected"
                status.by_stranger("subscriptions", text, "feed", "feed")


def _endpoint_of(sock: socket.socket) -> str:
    """Where a connection has come in, as ZMQ writes it."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"ipc://{name}"
    host = f"[{name[0]}]" if sock.family == socket.AF_INET6 else name[0]
    return f"tcp://{host}:{name[1]}"
