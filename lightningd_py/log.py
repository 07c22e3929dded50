"""The node's log: where the standard error of the master and of all its children goes.

With no file it is standard output. With files it is a pipe to a small process of its own, `log_writer.py`, which writes
each of them and opens them again on SIGHUP: so rotating needs no word to the daemons, and none of them knows a file's
name. It ends when the last of them has. The pipe is the master's, at both ends: if the writer dies nothing is lost that
the pipe holds, and another one goes on with it.
"""

import asyncio
import contextlib
import os
import select
import signal
from collections.abc import Callable, Sequence

from lightningd_py.log_writer import LEAVE, OURS, STDOUT, open_log
from wire.control.control_message import Fd
from wire.control.timing import CHILD_END_TIME
from wire.log.style import LogStyle
from wire.start.late_dataclass import dataclass
from wire.start.python import command, environment

WRITER = "log writer"
"""How it is called in the log."""


@dataclass(frozen=True, slots=True)
class LogLeft:
    """The log, for the next program of this process; that of standard error is the log's already."""

    files: list[str]
    stderr_fd: Fd
    reading_fd: Fd | None = None
    writer: int | None = None
    """The writer's pid."""


class _Writer:
    """The writer's process, a child of ours: waited for without a loop, too."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        signal.pidfd_send_signal(self.pidfd, number)

    def ends_within(self, seconds: float) -> bool:
        """Wait so long at most."""
        ended = select.poll()
        ended.register(self.pidfd, select.POLLIN)
        return bool(ended.poll(seconds * 1_000))

    def reap(self) -> int:
        """Wait until it has ended; its exit status."""
        os.close(self.pidfd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class NodeLog:
    """The log of this process and of those that it starts from now on. Raises LogError if a file cannot be opened."""

    def __init__(self, files: Sequence[str], style: str = "info", *, daemon: bool = False) -> None:
        """`files` are paths, and "-" for standard output. `style`: see `wire.log.style`. `daemon`: the writer does
        not hold the terminal that this process was started from, and `leave_terminal` leaves it."""
        self._style = style
        for file in files:
            os.close(open_log(file))
        if set(files) <= {STDOUT}:
            self._begin(files, os.dup(2), None, None)
            os.dup2(1, 2)
        else:
            reading, writing = os.pipe()
            self._begin(files, os.dup(2), reading, None)
            self._start_writer(daemon=daemon)
            os.dup2(writing, 2)
            os.close(writing)

    def _begin(self, files: Sequence[str], stderr: int, reading: int | None, writer: _Writer | None) -> None:
        self._files = files
        self._stderr = stderr
        self._reading = reading
        self._writer = writer
        self._died: Callable[[int], None] | None = None
        self._turn = asyncio.Lock()

    @classmethod
    def adopt(cls, left: LogLeft, style: str) -> "NodeLog":
        """The log of the program before us in this process: its files stay what they are until the node ends."""
        log = cls.__new__(cls)
        log._style = style
        writer = None if left.writer is None else _Writer(left.writer)
        log._begin(left.files, left.stderr_fd, left.reading_fd, writer)
        return log

    def hand_over(self) -> LogLeft:
        """All of it, for the next program of this process."""
        reading = None if self._reading is None else Fd(self._reading)
        writer = None if self._writer is None else self._writer.pid
        return LogLeft(list(self._files), Fd(self._stderr), reading, writer)

    def leave_terminal(self) -> None:
        """Let go of the standard error of before: who has started a daemon in a pipe waits for the pipe's end."""
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, self._stderr, inheritable=False)
        os.close(null)

    def _start_writer(self, *, daemon: bool = False) -> None:
        """The signals are blocked until the writer is ready for them: they would end it."""
        assert self._reading is not None
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, OURS)
        try:
            writer = command("lightningd_py.log_writer", self._style, *self._files)
            # Its complaints go where ours went before there was a log: to its own pipe they would go round.
            fds: list[tuple[int, ...] | tuple[int, int, str, int, int]]
            fds = [(os.POSIX_SPAWN_DUP2, self._reading, 0), (os.POSIX_SPAWN_DUP2, self._stderr, 2)]
            nowhere = ([] if STDOUT in self._files else [1]) + ([2] if daemon else [])
            fds += [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in nowhere]
            self._writer = _Writer(os.posix_spawn(writer[0], writer, environment(), file_actions=fds))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def watch(self, died: Callable[[int], None]) -> None:
        """On the running loop: `died` is called with the exit status if the writer ends, until `leave`."""
        self._died = died
        if self._writer is not None:
            asyncio.get_running_loop().add_reader(self._writer.pidfd, self._writer_died)

    def _writer_died(self) -> None:
        assert self._writer is not None
        self._stop_watching()
        exit_status, self._writer = self._writer.reap(), None
        if self._died is not None:
            self._died(exit_status)

    def _stop_watching(self) -> None:
        if self._writer is not None:
            asyncio.get_running_loop().remove_reader(self._writer.pidfd)

    async def replace(self) -> None:
        """Another writer: the old one writes what it has read, and ends first, so that no line overtakes another. The
        pipe holds what comes meanwhile. Raises OSError if the new one cannot be started: that is then told as a death.
        """
        async with self._turn:
            await self._replace()

    async def change(self, style: LogStyle) -> None:
        """The options say something else of the log now: the writer has to know the levels of single files."""
        own = style.files or LogStyle.parse(self._style).files
        self._style = style.argument
        if own:
            with contextlib.suppress(OSError):  # told as a death, and tried again
                await self.replace()

    async def _replace(self) -> None:
        old, died = self._writer, self._died
        if old is None:
            return
        self._stop_watching()
        old.send(LEAVE)
        if not await asyncio.to_thread(old.ends_within, CHILD_END_TIME):  # it hangs in a write to its disk
            old.send(signal.SIGKILL)
        old.reap()
        self._writer = None
        try:
            self._start_writer()
        except OSError:
            if died is not None:
                died(1)
            raise
        if died is not None:
            self.watch(died)

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
            self._writer.send(signal.SIGHUP)

    def close(self) -> None:
        """Give back the old standard error, and wait until all is written. The children must have ended before."""
        os.dup2(self._stderr, 2)
        if self._reading is not None:
            self._finish_writing()
            os.close(self._reading)
        os.close(self._stderr)

    def _finish_writing(self) -> None:
        if self._writer is not None and self._writer.ends_within(0):
            self._writer.reap()
            self._writer = None
        if self._writer is None:  # what the pipe holds is the last of the log
            self._start_writer()
        assert self._writer is not None
        if not self._writer.ends_within(CHILD_END_TIME):
            self._writer.send(signal.SIGKILL)
        self._writer.reap()
