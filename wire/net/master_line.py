"""A program's control socket: the master is heard without waiting, and what it does not take now waits here."""

import errno
import os
import socket
from collections import deque

from wire.control.control_message import ControlMessage
from wire.control.control_socket import DONT_WAIT, encode, receive, transmit

COPIES_MARK = 1_048_576
"""Bytes that the master has not taken yet, above which it gets no copies."""


class MasterLine:
    """The socket, which stays the caller's. If the master has gone, so has the node, and no more is said."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._queue: deque[tuple[bytes, list[int]]] = deque()
        self._size = 0

    @property
    def waits(self) -> bool:
        """Something waits for room."""
        return bool(self._queue)

    @property
    def takes_copies(self) -> bool:
        """Whether the master keeps up."""
        return self._size <= COPIES_MARK

    def receive(self) -> ControlMessage | None:
        """What the master says; None if it has gone. Raises BlockingIOError if there is nothing."""
        return receive(self._sock, "master", DONT_WAIT)

    def tell(self, message: ControlMessage) -> None:
        """Say it as soon as there is room."""
        datagram, fds = encode(message)
        self._queue.append((datagram, fds))
        self._size += len(datagram)
        self.flush()

    def flush(self) -> None:
        """Say what there is room for."""
        self._flush(DONT_WAIT)

    def finish(self, patience: float) -> None:
        """Say all that waits, `patience` seconds at most for each message; what cannot be said is lost, fds and all."""
        self._sock.settimeout(patience)
        self._flush(0)
        self._lose()

    def _flush(self, flags: int) -> None:
        while self._queue:
            datagram, fds = self._queue[0]
            try:
                transmit(self._sock, datagram, fds, flags)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.ETOOMANYREFS):
                    self._lose()
                return
            self._queue.popleft()
            self._size -= len(datagram)

    def _lose(self) -> None:
        for _, fds in self._queue:
            for fd in fds:
                os.close(fd)
        self._queue.clear()
        self._size = 0
