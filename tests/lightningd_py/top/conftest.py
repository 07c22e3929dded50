"""A terminal for `top`: a pty, and pyte's screen of what is written to it."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pyte
import pytest

PATIENCE = 60.0


class Terminal:
    """`lightning-cli-py` with these words on a terminal of this size."""

    def __init__(self, columns: int, lines: int, *words: str) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (lines, columns))
        self.before = termios.tcgetattr(self.slave)
        command = [sys.executable, "-P", "-m", "lightningd_py.cli", *words]
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            command,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=environment | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
        )

    @property
    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, seen: Callable[[str], bool]) -> str:
        """Read until the screen is so."""
        deadline = time.monotonic() + PATIENCE
        while not seen(self.text):
            ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"not seen on this screen:\n{self.text}"
            data = os.read(self._master, 1 << 16)
            self.raw += data
            self._stream.feed(data)
        return self.text

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        self.screen.resize(lines, columns)
        termios.tcsetwinsize(self.slave, (lines, columns))

    def end(self) -> int:
        """Wait for the end; the exit status. What is still written is read."""
        status = self.process.wait(PATIENCE)
        while select.select([self._master], [], [], 0)[0]:
            data = os.read(self._master, 1 << 16)
            self.raw += data
            self._stream.feed(data)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal is as it was"
        return status

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.slave)
        os.close(self._master)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Starts the command line on a terminal: `terminal(80, 24, "top")`."""
    started: list[Terminal] = []

    def start(columns: int, lines: int, *words: str) -> Terminal:
        started.append(Terminal(columns, lines, *words))
        return started[-1]

    yield start
    for each in started:
        each.close()
