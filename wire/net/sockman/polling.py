"""One epoll for the sockets of all connections, at which the loop looks as at one fd.

asyncio itself keeps a key, a handle and two tuples for each fd, some 260 bytes, takes 7 µs to register and forget one
where epoll takes 2, and goes through a handle for each that is ready.
"""

import asyncio
import select
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
MOST_EVENTS = 256
"""Sockets that have their turn in one turn of the loop: then others than sockets have theirs. No socket is passed over,
since epoll begins with those that have waited longest."""

_READABLE, _WRITABLE = ~WRITE, ~READ
"""What is neither, an error, is told to whichever is waited for."""


class Watched(Protocol):
    """A socket as it is known here."""

    fd: int
    watched: int
    """READ, WRITE, both or 0: set by `watch` alone."""


W = TypeVar("W", bound=Watched)


class Polling(Generic[W]):
    """On the running loop. `readable` and `writable` are called with a socket that is ready. They may end, or change,
    how any is watched: in the same turn, too, nothing is called that a socket is no longer watched for."""

    def __init__(self, readable: Callable[[W], None], writable: Callable[[W], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._readable, self._writable = readable, writable
        self._by_fd: dict[int, W] = {}
        self._epoll = select.epoll()
        self._loop.add_reader(self._epoll.fileno(), self._look)

    def watch(self, what: W, events: int) -> None:
        """Look for these events from now on, READ and WRITE, or for none: that comes before its fd is closed or given
        away. Raises OSError."""
        epoll = self._epoll
        if not what.watched:
            epoll.register(what.fd, events)
            self._by_fd[what.fd] = what
        elif events:
            epoll.modify(what.fd, events)
        else:
            epoll.unregister(what.fd)
            del self._by_fd[what.fd]
        what.watched = events

    def close(self) -> None:
        """Give the epoll back; nothing can be watched after that."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _look(self) -> None:
        found = self._by_fd.get
        for fd, events in self._epoll.poll(0, MOST_EVENTS):
            what = found(fd)
            if what is not None and what.watched & READ and events & _READABLE:
                self._readable(what)
            if what is not None and what.watched & WRITE and events & _WRITABLE:
                self._writable(what)
