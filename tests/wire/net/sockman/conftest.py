"""Connected sockets of the kinds that the tests of SockMan need."""

import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.wire.net.sockman.recorder import Pair, Recorder


@pytest.fixture
async def man() -> AsyncIterator[Recorder]:
    """A SockMan that keeps what it is told."""
    recorder = Recorder()
    yield recorder
    recorder.close_sockets()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A connected stream; the first end is to be adopted (detached), the second one blocks for five seconds at most."""
    ends = socket.socketpair()
    ends[1].settimeout(60)
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def tcp_pair() -> Iterator[Pair]:
    """The same over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    far.settimeout(60)
    yield near, far
    near.close()
    far.close()
