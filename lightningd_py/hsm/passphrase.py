"""The passphrase of hsm_secret is read by hsmd itself, from an fd that the master passes on without reading it.

On a terminal it is asked for, and not shown. The wait ends when the master does, and the terminal is as it was.
"""

import os
import select
import socket
import termios
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST = 4096


class NoPassphrase(Exception):
    """None could be read; one sentence."""


class PassphraseSource:
    """One line of an fd, which stays the caller's."""

    def __init__(self, fd: int, master: socket.socket) -> None:
        """`master`: its end is the end of waiting."""
        self._fd = fd
        self._master = master

    def ask(self, *, new: bool = False) -> bytes:
        """The passphrase without its newline. A `new` one is asked for twice on a terminal. Raises NoPassphrase."""
        if not os.isatty(self._fd):
            return self._line()
        with self._no_echo():
            passphrase = self._prompted("Enter the passphrase of hsm_secret: ")
            if new and self._prompted("Once more: ") != passphrase:
                raise NoPassphrase("the two passphrases are different")
        return passphrase

    def _prompted(self, prompt: str) -> bytes:
        os.write(self._fd, prompt.encode())
        try:
            return self._line()
        finally:
            os.write(self._fd, b"\n")

    @contextmanager
    def _no_echo(self) -> Iterator[None]:
        before = termios.tcgetattr(self._fd)
        without = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
        termios.tcsetattr(self._fd, termios.TCSADRAIN, without)
        try:
            yield
        finally:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, before)

    def _line(self) -> bytes:
        """Byte by byte: what follows the line is not ours."""
        line = b""
        while len(line) < LONGEST:
            self._wait()
            byte = os.read(self._fd, 1)
            if byte in (b"\n", b""):
                if not line and not byte:
                    raise NoPassphrase("no passphrase was given: the input has ended")
                return line
            line += byte
        raise NoPassphrase(f"a passphrase has fewer than {LONGEST} bytes")

    def _wait(self) -> None:
        readable, _, _ = select.select([self._fd, self._master.fileno()], [], [])
        if self._fd not in readable and not self._master.recv(1, socket.MSG_PEEK):
            raise NoPassphrase("the node ends")
