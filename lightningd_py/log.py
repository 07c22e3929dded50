"""The node's log: where the standard error of the master and of all its children goes.

With no file it is standard output. With files it is a pipe to a small process of its own, `log_writer.py`, which writes
each of them and opens them again on SIGHUP: so rotating needs no word to the daemons, and none of them knows a file's
name. It ends when the last of them has. The pipe is the master's, at both ends: if the writer dies nothing is lost that
the pipe holds, and another one goes on with it.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from lightningd_py.log_writer import OURS, STDOUT, open_log
from wire.control.timing import CHILD_END_TIME

WRITER = "log writer"
"""How it is called in the log."""


class NodeLog:
    """The log of this process and of those that it starts from now on. Raises LogError if a file cannot be opened."""

    def __init__(self, files: Sequence[str]) -> None:
        """`files` are paths, and "-" for standard output."""
        for file in files:
            os.close(open_log(file))
        self._files = files
        self._stderr = os.dup(2)
        self._reading: int | None = None
        self._writer: subprocess.Popen[bytes] | None = None
        self._pidfd: int | None = None
        self._died: Callable[[int], None] | None = None
        if set(files) <= {STDOUT}:
            os.dup2(1, 2)
        else:
            self._reading, writing = os.pipe()
            self._start_writer()
            os.dup2(writing, 2)
            os.close(writing)

    def _start_writer(self) -> None:
        """The signals are blocked until the writer is ready for them: they would end it."""
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, OURS)
        try:
            command = [sys.executable, "-P", "-m", "lightningd_py.log_writer", *self._files]
            # Its complaints go where ours went before there was a log: to its own pipe they would go round.
            self._writer = subprocess.Popen(command, stdin=self._reading, stderr=self._stderr)  # noqa: S603 - our own
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def watch(self, died: Callable[[int], None]) -> None:
        """On the running loop: `died` is called with the exit status if the writer ends, until `leave`."""
        self._died = died
        if self._writer is not None:
            self._pidfd = os.pidfd_open(self._writer.pid)
            asyncio.get_running_loop().add_reader(self._pidfd, self._writer_died)

    def _writer_died(self) -> None:
        assert self._writer is not None
        self._stop_watching()
        exit_status, self._writer = self._writer.wait(), None
        if self._died is not None:
            self._died(exit_status)

    def _stop_watching(self) -> None:
        if self._pidfd is not None:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None

    async def restart(self) -> None:
        """Start a writer in the place of one that has died. Raises OSError."""
        self._start_writer()
        if self._died is not None:
            self.watch(self._died)

    def leave(self) -> None:
        """Watch no more: the loop ends."""
        self._stop_watching()
        self._died = None

    def reopen(self) -> None:
        """Open the files again, after they were moved away: on SIGHUP."""
        if self._writer is not None:
            self._writer.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Give back the old standard error, and wait until all is written. The children must have ended before."""
        os.dup2(self._stderr, 2)
        if self._reading is not None:
            self._finish_writing()
            os.close(self._reading)
        os.close(self._stderr)

    def _finish_writing(self) -> None:
        if self._writer is None or self._writer.poll() is not None:  # what the pipe holds is the last of the log
            self._start_writer()
        assert self._writer is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._writer.wait(CHILD_END_TIME)
        self._writer.kill()
        self._writer.wait()
