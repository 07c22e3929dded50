"""The node's log: where the standard error of the master and of all its children goes.

With no file it is standard output. With files it is a pipe to a small process of its own, which writes each of them
and opens them again on SIGHUP: so rotating needs no word to the daemons, and none of them knows a file's name. Control
characters become question marks. That process is this module run as a program,
`python -P -m lightningd_py.log FILE...`; it ends when the last writer has.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from lightningd_py.errors import LogError
from wire.control.timing import CHILD_END_TIME

STDOUT = "-"
_PRINTABLE = bytes(byte if (byte >= 32 and byte != 127) or byte == ord("\n") else ord("?") for byte in range(256))
"""What reaches the files: `sane` for bytes whose lines were cut anywhere. Text that is no ASCII stays."""
_OURS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class NodeLog:
    """The log of this process and of those that it starts from now on. Raises LogError if a file cannot be opened."""

    def __init__(self, files: Sequence[str]) -> None:
        """`files` are paths, and "-" for standard output."""
        for file in files:
            os.close(_open(file))
        self._stderr = os.dup(2)
        self._writer: subprocess.Popen[bytes] | None = None
        if set(files) <= {STDOUT}:
            os.dup2(1, 2)
        else:
            self._start_writer(files)

    def _start_writer(self, files: Sequence[str]) -> None:
        """The signals are blocked until the writer is ready for them: they would end it."""
        reading, writing = os.pipe()
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
        try:
            command = [sys.executable, "-P", "-m", "lightningd_py.log", *files]
            self._writer = subprocess.Popen(command, stdin=reading)  # noqa: S603 - our own module
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        os.dup2(writing, 2)
        os.close(reading)
        os.close(writing)

    def reopen(self) -> None:
        """Open the files again, after they were moved away: on SIGHUP."""
        if self._writer is not None:
            self._writer.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Give back the old standard error, and wait until all is written. The children must have ended before."""
        os.dup2(self._stderr, 2)
        os.close(self._stderr)
        if self._writer is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._writer.wait(CHILD_END_TIME)
            self._writer.kill()
            self._writer.wait()


def _open(file: str) -> int:
    """An fd that belongs to the caller."""
    if file == STDOUT:
        return os.dup(1)
    try:
        return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LogError(f"cannot open log file {file}: {error.strerror}") from error


def write_log(files: Sequence[str]) -> None:
    """The writer: copy standard input to the files until its end. A full disk costs lines, never the node."""
    outputs = [_open(file) for file in files]

    def reopen(*_: object) -> None:
        for file, fd in zip(files, outputs, strict=True):
            with contextlib.suppress(LogError):
                new = _open(file)
                os.dup2(new, fd, inheritable=False)
                os.close(new)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, reopen)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
    while data := os.read(0, 1 << 16).translate(_PRINTABLE):
        for fd in outputs:
            with contextlib.suppress(OSError):
                _write_all(fd, data)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


if __name__ == "__main__":
    write_log(sys.argv[1:])
