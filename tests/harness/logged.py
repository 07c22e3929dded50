"""A process of ours with children, all of which write to one log: waited for by lines, ended, and looked at for what it
leaves. The log is a pipe: its end tells that all of them are gone.
"""

import asyncio
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from tests.harness import processes

PATIENCE = 60.0
"""Seconds until something that must come is given up."""
_LISTENING: list["Logged"] = []
"""Those whose log is worth showing when a test fails."""


class NodeEnded(Exception):
    """The node has ended instead of doing what was waited for; the text is its log."""


class Logged:
    """Starts with the constructor, in a session of its own; `kill` ends it in any case."""

    def __init__(
        self,
        place: Path,
        command: Sequence[str | Path],
        stdin: Any = subprocess.DEVNULL,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """`place` is its directory. `pass_fds` are what a careless parent leaves open."""
        self.place = place
        self.name = place.name
        self.lines: list[str] = []
        """The log so far, and what was said on standard error."""
        self.reads_log = threading.Event()
        """Cleared by a test that does not read the log for a while."""
        self.reads_log.set()
        self._grown = threading.Condition()
        self._at_end = False
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        _LISTENING.append(self)

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as log:
            for line in log:
                self.reads_log.wait()
                with self._grown:
                    self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self._grown.notify_all()
        with self._grown:
            self._at_end = True
            self._grown.notify_all()

    def _wait_for(self, pattern: str, start: int, patience: float) -> str:
        deadline = time.monotonic() + patience
        with self._grown:
            while True:
                for line in self.lines[start:]:
                    if re.search(pattern, line):
                        return line
                start = len(self.lines)
                if self._at_end:
                    raise NodeEnded(self.log)
                if not self._grown.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"no line like {pattern!r} in the log:\n{self.log}")

    async def logged(self, pattern: str, start: int = 0, patience: float = PATIENCE) -> str:
        """The first line, from this one on, that matches; waits for it. Raises NodeEnded, TimeoutError."""
        return await asyncio.to_thread(self._wait_for, pattern, start, patience)

    def all_gone(self, patience: float = PATIENCE) -> bool:
        """Wait until none of its processes can write to the log any more. False if that takes too long."""
        with self._grown:
            return self._grown.wait_for(lambda: self._at_end, patience)

    @property
    def log(self) -> str:
        """All of it, so far."""
        return "\n".join(self.lines)

    def broken(self) -> list[str]:
        """The lines that no test passes with."""
        return [line for line in self.lines if " BROKEN " in line]

    def send_signal(self, number: signal.Signals, whole_group: bool = False) -> None:
        """To the master, or as a terminal does it, to all."""
        if whole_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit status, once it and all its processes have ended. Raises TimeoutExpired."""
        status = self.process.wait(patience)
        assert self.all_gone(patience) and self._no_survivors(), f"it has gone itself, not so: {self.survivors()}"
        return status

    def _no_survivors(self) -> bool:
        """A process lets go of the log a moment before it is gone."""
        deadline = time.monotonic() + PATIENCE
        while self.survivors() and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.survivors()

    def stop(self) -> int:
        """SIGTERM and wait; the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """Whatever is left of it, at once."""
        for pid in self.survivors():
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        if self in _LISTENING:
            _LISTENING.remove(self)

    def survivors(self) -> list[int]:
        """Its processes that live."""
        return processes.session(self.process.pid)

    def left_behind(self) -> list[str]:
        """What one that has ended must not leave: processes, sockets' files."""
        left = [f"process {pid}: {processes.command_line(pid)}" for pid in self.survivors()]
        return left + [f"socket {path}" for path in self.place.rglob("*") if path.is_socket()]


L = TypeVar("L", bound=Logged)


class LoggedMany(Generic[L]):
    """All of a test, or of a module: they end with the `with` block, and must end well."""

    def __init__(self) -> None:
        self._all: list[L] = []

    def expect_end(self, one: L) -> None:
        """This one has ended as its test has wanted it: there is nothing to check any more."""
        one.kill()
        self._all.remove(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for one in self._all:
                if one.process.poll() is None:
                    one.process.terminate()
            statuses = {one.name: one.wait() for one in self._all}
            assert set(statuses.values()) <= {0}, f"exit statuses: {statuses}"
            broken = [line for one in self._all for line in one.broken()]
            assert not broken, "\n".join(broken)
            assert [left for one in self._all for left in one.left_behind()] == []
        finally:
            for one in self._all:
                one.kill()


def logs() -> list[tuple[str, str]]:
    """(title, text) of the processes that run now, for the report of a failed test."""
    return [(f"log of {node.name}", "\n".join(node.lines[-60:])) for node in _LISTENING]
