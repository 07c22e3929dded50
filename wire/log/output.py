"""Standard error as the log of a process, which never waits for its reader: a node does not stop because of its log.

What the reader does not take at once waits here, MOST_WAITING bytes at most; a thread, which is there only as long as
something waits, writes it as soon as there is room. What finds no place is lost, from then on until all that waits has
been written: then one line says how many lines were lost.
"""

import contextlib
import os
import select
import socket
import stat
import threading
from collections import deque
from collections.abc import Callable

MOST_WAITING = 1 << 20
"""Bytes."""

Write = Callable[[bytes], int]
"""Writes some of it, and says how much. Raises BlockingIOError where it would wait, OSError."""


class LogOutput:
    """An fd that is written line by line. `lost` makes the line that says how many were lost."""

    def __init__(self, fd: int, lost: Callable[[int], bytes], most: int = MOST_WAITING) -> None:
        """The fd stays the caller's. `most`: bytes that may wait."""
        self._lost_line, self._most = lost, most
        self._fd, self._write, self._close = _writer_of(fd)
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """A forked child has no thread, and nothing of what its parent has still to write."""
        self._waiting: deque[bytes] = deque()
        self._size = self._lost = 0
        self.lost = 0
        """Lines that were never written."""
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = False

    def write(self, lines: bytes) -> None:
        """Write whole lines, now or later, or count them as lost. Never waits, raises nothing."""
        with self._changed:
            rest = lines if self._thread is not None or self._ended else self._try(lines)
            if not rest:
                return
            if self._lost or self._ended or self._size + len(rest) > self._most:
                self._lose(rest)
                return
            self._waiting.append(rest)
            self._size += len(rest)
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_what_waits, name="log", daemon=True)
                self._thread.start()

    def _lose(self, data: bytes) -> None:
        lines = data.count(b"\n")
        self._lost += lines
        self.lost += lines

    def _try(self, data: bytes) -> bytes:
        """What could not be written now. A reader that is gone for ever, or a full disk, costs lines."""
        try:
            while data:
                data = data[self._write(data) :]
        except BlockingIOError:
            return data
        except OSError:
            self._lose(data)
            return b""
        return b""

    def _write_what_waits(self) -> None:
        while True:
            with contextlib.suppress(OSError, ValueError):
                select.select([], [self._fd], [])
            with self._changed:
                if self._ended or self._is_done():
                    self._thread = None
                    self._changed.notify_all()
                    return

    def _is_done(self) -> bool:
        while self._waiting:
            head = self._waiting.popleft()
            rest = self._try(head)
            self._size -= len(head) - len(rest)
            if rest:
                self._waiting.appendleft(rest)
                return False
        if self._lost:
            said, self._lost = self._lost_line(self._lost), 0
            if rest := self._try(said):
                self._waiting.append(rest)
                self._size += len(rest)
        return not self._waiting

    def finish(self, patience: float) -> None:
        """Wait for the reader, so many seconds at most. What is written after that goes nowhere."""
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None, patience)
            if not self._ended:
                self._ended = True
                self._close()

    @property
    def stuck(self) -> bool:
        """Something waits for the reader."""
        return self._thread is not None


def _writer_of(fd: int) -> tuple[int, Write, Callable[[], None]]:
    """The fd to wait for, and what writes to it without waiting.

    O_NONBLOCK belongs to what is open and not to the fd, so to set it would set it for all who share this pipe or
    terminal, programs of others too: it is opened once more for us. A socket has a flag for each call.
    """
    kind = os.fstat(fd).st_mode
    if stat.S_ISSOCK(kind):
        sock = socket.socket(fileno=os.dup(fd))
        flags = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        return sock.fileno(), lambda data: sock.send(data, flags), sock.close
    if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
        with contextlib.suppress(OSError):  # somebody else's terminal
            ours = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
            return ours, lambda data: os.write(ours, data), lambda: os.close(ours)
    return fd, lambda data: os.write(fd, data), lambda: None
