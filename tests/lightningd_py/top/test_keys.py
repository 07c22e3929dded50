"""Keys by name."""

import os
import pty

import pytest

from lightningd_py.top.keys import names, read_keys


def test_names() -> None:
    assert list(names(b"q\x1b[A\x1bOBj\r\x1b")) == ["q", "up", "down", "down", "enter", "escape"]


def test_what_is_not_known_is_passed_over() -> None:
    assert list(names(b"\x1b[15~q\x1b[1;5Cs\x1b[")) == ["q", "s"]
    assert list(names(b"\xff")) == ["ÿ"]


def test_a_terminal_that_has_gone() -> None:
    master, slave = pty.openpty()
    os.close(master)
    with pytest.raises(EOFError):
        read_keys(slave)
    os.close(slave)
