"""Sockets that systemd has bound for us (sd_listen_fds), and those that connectd has bound."""

import os
import socket

import pytest

from lightningd_py.daemons import listening
from lightningd_py.daemons.listening import ListeningSockets, inherited
from wire.control.control_message import Fd
from wire.control.control_wire import ListeningSocket


def test_what_systemd_has_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only if it was meant for this process, and only what listens; our children hear nothing of it."""
    with socket.create_server(("127.0.0.1", 0)) as plain, socket.create_server(("127.0.0.1", 0)) as web:
        first = 900
        for number, sock in enumerate((plain, web)):
            os.dup2(sock.fileno(), first + number)
        other, its_end = socket.socketpair()
        os.dup2(other.fileno(), first + 2)
        monkeypatch.setattr(listening, "FIRST_FD", first)
        environment = {"LISTEN_PID": "7", "LISTEN_FDS": "3", "LISTEN_FDNAMES": "lightning:ws:other", "HOME": "/"}
        assert inherited(dict(environment), 8) == []
        assert inherited(environment, 7) == [ListeningSocket("plain", Fd(first)), ListeningSocket("ws", Fd(first + 1))]
        assert environment == {"HOME": "/"}
        assert not os.get_inheritable(first)
        for number in range(3):
            os.close(first + number)
        other.close()
        its_end.close()


def test_each_connectd_has_copies() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        kept = ListeningSockets()
        kept.keep([ListeningSocket("plain", Fd(os.dup(sock.fileno())))])
        (copy,) = kept.copies(announce=True)
        with socket.socket(fileno=copy.fd) as same:
            assert same.getsockname() == sock.getsockname()
        assert copy.announce
        kept.close()
        assert len(kept) == 0
