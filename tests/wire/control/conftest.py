"""Fixtures: both ends of a control socket."""

import socket
from collections.abc import Iterator

import pytest

from tests.wire.control.control_ends import Pair


@pytest.fixture
def ends() -> Iterator[Pair]:
    """Two ends of a control socket."""
    both = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    yield both
    for end in both:
        end.close()
