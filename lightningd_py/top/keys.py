"""A terminal that gives each key at once, and the names of keys."""

import contextlib
import os
import termios
import tty
from collections.abc import Iterator

READ = 256
_SEQUENCES = {b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"\x1b[5~": "page up"}
_SEQUENCES |= {b"\x1b[6~": "page down", b"\r": "enter", b"\n": "enter", b"k": "up", b"j": "down"}


@contextlib.contextmanager
def key_by_key(fd: int) -> Iterator[None]:
    """No echo and no waiting for Enter, until the end of the block. Ctrl-C goes on to be a signal, Ctrl-Z is off."""
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        changed = termios.tcgetattr(fd)
        changed[6][termios.VSUSP] = b"\0"
        termios.tcsetattr(fd, termios.TCSANOW, changed)
        yield
    finally:
        with contextlib.suppress(termios.error):  # the terminal has gone
            termios.tcsetattr(fd, termios.TCSAFLUSH, before)


def read_keys(fd: int) -> list[str]:
    """What has been typed. Raises EOFError if the terminal has gone."""
    try:
        data = os.read(fd, READ)
    except OSError as error:
        raise EOFError from error
    if not data:
        raise EOFError
    return list(names(data))


def names(data: bytes) -> Iterator[str]:
    """`up`, `enter`, `escape`, or the letter; sequences that are not known are passed over."""
    while data:
        found = next((known for known in _SEQUENCES if data.startswith(known)), None)
        if found is not None:
            yield _SEQUENCES[found]
            data = data[len(found) :]
        elif data.startswith((b"\x1b[", b"\x1bO")):
            data = data[2:].lstrip(b"0123456789;")[1:]
        else:
            yield "escape" if data[0] == 0x1B else chr(data[0])
            data = data[1:]
