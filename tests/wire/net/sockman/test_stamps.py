"""When what is read has arrived: the kernel's word for it, not the time of the read."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gossipd.ends import tcp_pair
from wire.net.sockman import stamps


@pytest.fixture(autouse=True)
def kernel_stamps() -> Iterator[None]:
    """The kernel begins to stamp a moment after the first socket has asked for it."""
    near, far = tcp_pair()
    with near, far:
        stamps.stamp(near, wanted=True)
        stamped = False
        while not stamped:
            far.send(b"x")
            stamped = bool(near.recvmsg(1, 64)[1])
        yield


def sent(end: socket.socket, data: bytes, reader: socket.socket) -> tuple[int, int]:
    """Send; unix nanoseconds before, and after it can be read."""
    before = time.time_ns()
    end.sendall(data)
    reader.setblocking(True)
    reader.recv(1, socket.MSG_PEEK)
    return before, time.time_ns()


def open_fds() -> set[Path]:
    """Of this process, without the one that looks."""
    return {fd for fd in Path("/proc/self/fd").iterdir() if fd.exists()}


@pytest.mark.parametrize("kind", ["tcp", "seqpacket"])
def test_it_is_the_time_of_arrival(kind: str) -> None:
    """Two reads, each after a third thing has happened: both stamps are older than that."""
    near, far = tcp_pair() if kind == "tcp" else socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        stamps.stamp(near, wanted=True)
        for size in (100, 1_000):
            before, after = sent(far, bytes(size), near)
            data, at = stamps.receive(near, 65_536)
            assert len(data) == size
            assert before <= at <= after


def test_what_is_read_together_has_the_stamp_of_the_last_segment() -> None:
    near, far = tcp_pair()
    with near, far:
        stamps.stamp(near, wanted=True)
        sent(far, b"one", near)
        between, _ = sent(far, b"two", near)
        near.recv(6, socket.MSG_PEEK | socket.MSG_WAITALL)
        data, at = stamps.receive(near, 65_536)
        assert data == b"onetwo"
        assert at >= between


def test_a_unix_stream_has_no_stamp_but_the_time_of_the_read() -> None:
    near, far = socket.socketpair()
    with near, far:
        stamps.stamp(near, wanted=True)
        sent(far, b"word", near)
        before = time.time_ns()
        data, at = stamps.receive(near, 65_536)
        assert data == b"word"
        assert before <= at <= time.time_ns()


def test_without_the_option_it_is_the_time_of_the_read() -> None:
    near, far = tcp_pair()
    with near, far:
        stamps.stamp(near, wanted=True)
        stamps.stamp(near, wanted=False)
        sent(far, b"word", near)
        before = time.time_ns()
        assert stamps.receive(near, 65_536)[1] >= before


def test_fds_that_come_with_a_packet_are_closed() -> None:
    """The other end of a gossip fd may be any program."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        stamps.stamp(near, wanted=True)
        before = open_fds()
        for count in (1, 2, 30):
            socket.send_fds(far, [b"with fds"], [far.fileno()] * count)
            assert stamps.receive(near, 65_536)[0] == b"with fds"
        assert open_fds() == before


def test_the_end_and_an_empty_socket_are_as_with_recv() -> None:
    near, far = tcp_pair()
    with near:
        stamps.stamp(near, wanted=True)
        near.setblocking(False)
        with pytest.raises(BlockingIOError):
            stamps.receive(near, 10)
        far.close()
        near.setblocking(True)
        assert stamps.receive(near, 10)[0] == b""


def test_what_is_no_socket_of_the_internet_is_no_trouble() -> None:
    lone, other = socket.socketpair()
    other.close()
    lone.close()
    stamps.stamp(lone, wanted=True)
