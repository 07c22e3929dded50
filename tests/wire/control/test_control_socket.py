"""The blocking calls over real socketpairs: whose an fd is at every moment, and what is refused."""

import dataclasses
import fcntl
import itertools
import os
import resource
import socket
import tracemalloc

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.control.control_ends import Pair, fd_count, hint, is_open, new_pipe, same_pipe
from wire.control import control_socket
from wire.control.control_channel import receive_message, send_message
from wire.control.control_message import MAX_INLINE, ControlError, ControlMessage
from wire.control.control_wire import (
    ChangeNodeRegistrations,
    ClientHsmfd,
    Ecdh,
    ListPeersReply,
    NewGossipdLink,
    PeerDisconnected,
    PeerStats,
)
from wire.crypto_state import Traffic


def test_the_fd_itself_crosses_and_the_senders_copy_is_closed(ends: Pair) -> None:
    reader, writer = new_pipe()
    send_message(ends[0], ClientHsmfd("connectd", writer))
    assert not is_open(writer)
    message = receive_message(ends[1], "master")
    assert isinstance(message, ClientHsmfd)
    assert same_pipe(message.fd, reader)
    assert not os.get_inheritable(message.fd)
    os.close(message.fd)
    assert os.read(reader, 1) == b""  # no other copy of the writer is left anywhere
    os.close(reader)


def test_an_fd_that_was_not_sent_is_still_the_senders(ends: Pair) -> None:
    reader, writer = new_pipe()
    ends[1].close()
    with pytest.raises(BrokenPipeError):
        send_message(ends[0], ClientHsmfd("connectd", writer))
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize("size", [0, 131_000, 131_072, 300_000, 5_000_000])
def test_messages_of_any_size(ends: Pair, size: int) -> None:
    before = fd_count()
    send_message(ends[0], ChangeNodeRegistrations([b"x" * size], []))
    assert receive_message(ends[1], "master") == ChangeNodeRegistrations([b"x" * size], [])
    assert fd_count() == before


def test_a_large_message_carries_its_own_fds_behind_the_memfd(ends: Pair) -> None:
    reader, writer = new_pipe()
    send_message(ends[0], NewGossipdLink(writer, [2**63] * 20_000))
    message = receive_message(ends[1], "master")
    assert isinstance(message, NewGossipdLink)
    assert same_pipe(message.link_fd, reader)
    os.close(message.link_fd)
    os.close(reader)


def test_no_message_is_larger_than_its_declaration_says(ends: Pair) -> None:
    with pytest.raises(ControlError, match="a peer_addrhint of 131116 bytes is too large"):
        send_message(ends[0], hint(0, MAX_INLINE))
    with pytest.raises(ControlError, match="is too large"):
        send_message(ends[0], ListPeersReply([PeerStats(2**63, Traffic(), 0.5, 2**63)] * 200_000))


def put_in_a_memfd(sock: socket.socket, data: bytes) -> None:
    memfd = sealed(data)
    socket.send_fds(sock, [control_socket._ENVELOPE], [memfd])
    os.close(memfd)


def test_a_memfd_of_another_kind_is_refused_before_it_is_read(ends: Pair) -> None:
    """Of 60 MB nothing is in memory: a program's disconnected peer, and what is no message at all."""
    room = 60_000_000
    refused = [
        (
            msgpack.packb([PeerDisconnected.number, b"", 1, "x" * room, 0]),
            "peer_disconnected of 60000013 bytes: 131072",
        ),
        (b"\x91" * room, "no control message"),
        (
            msgpack.packb([ChangeNodeRegistrations.number, ["x" * room], []]),
            "program may not say change_node_registrations",
        ),
    ]
    for data, complaint in refused:
        put_in_a_memfd(ends[0], data)
        tracemalloc.start()
        with pytest.raises(ControlError, match=complaint):
            receive_message(ends[1], "program")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 100_000


def test_what_is_allowed_to_be_large_is_not_many_times_as_large_in_memory(ends: Pair) -> None:
    """3 MB of empty lists were 282 MB."""
    size = 3_000_000
    for empty in (b"\x90", b"\x80", b"\xc0"):
        number = msgpack.packb(ListPeersReply.number)
        put_in_a_memfd(ends[0], b"\x93" + number + b"\xdd" + size.to_bytes(4, "big") + empty * size + b"\x00")
        tracemalloc.start()
        with pytest.raises(ControlError):
            receive_message(ends[1], "program")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 17.2 * size


@pytest.mark.parametrize("cls", [cls for _, cls in sorted(ControlMessage.registry.items())])
def test_lists_in_lists_are_refused(ends: Pair, cls: type[ControlMessage]) -> None:
    """However deep, in each field of each message: a sentence, and no RecursionError."""
    fields = len(dataclasses.fields(cls))  # type: ignore[arg-type]  # ControlMessage makes each of them a dataclass
    for at, depth in itertools.product(range(fields), (10, 600, 1_000, 100_000)):
        values = [b"\xc0"] * fields
        values[at] = b"\x91" * depth + b"\xc0"
        ends[0].send(bytes([0xDC, 0, fields + 1]) + msgpack.packb(cls.number) + b"".join(values))
        with pytest.raises(ControlError):
            receive_message(ends[1], min(cls.senders))


def test_eof(ends: Pair) -> None:
    send_message(ends[0], hint(1))
    ends[0].close()
    assert receive_message(ends[1], "master") == hint(1)
    assert receive_message(ends[1], "master") is None


def test_what_was_said_before_the_end_is_heard_though_our_words_were_not(ends: Pair) -> None:
    send_message(ends[1], Ecdh(b""))
    send_message(ends[0], hint(1))
    ends[0].close()  # with something unread: the kernel reports ECONNRESET first
    assert receive_message(ends[1], "master") == hint(1)
    assert receive_message(ends[1], "master") is None


def sealed(data: bytes, seals: int = control_socket._SEALS) -> int:
    memfd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.write(memfd, data)
    fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, seals)
    return memfd


def test_envelopes_that_are_refused(ends: Pair) -> None:
    good, _ = hint(1).encode()
    reader, writer = new_pipe()
    envelopes: list[tuple[list[int], str]] = [
        ([], "without its memfd"),
        ([sealed(good, fcntl.F_SEAL_WRITE)], "not sealed"),
        ([reader], "cannot be read"),
        ([sealed(good + b"\0")], f"memfd of {len(good) + 1} bytes"),
        ([sealed(b"")], "no control message"),
        ([sealed(good), writer], "1 fds too many"),
        ([sealed(control_socket._ENVELOPE)], "no control message"),
    ]
    for fds, complaint in envelopes:
        before = fd_count()
        socket.send_fds(ends[0], [control_socket._ENVELOPE], fds)
        with pytest.raises(ControlError, match=complaint):
            receive_message(ends[1], "master", len(good))
        assert fd_count() == before
        for fd in fds:
            os.close(fd)
    socket.send_fds(ends[0], [control_socket._ENVELOPE], [memfd := sealed(good)])
    os.close(memfd)
    assert receive_message(ends[1], "master", len(good)) == hint(1)


def test_a_datagram_larger_than_the_buffer_is_refused(ends: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = new_pipe()
    monkeypatch.setattr(control_socket._room, "datagram", memoryview(bytearray(100)))
    before = fd_count()
    socket.send_fds(ends[0], [hint(1).encode()[0]], [reader])
    with pytest.raises(ControlError, match="cut short"):
        receive_message(ends[1], "master")
    assert fd_count() == before
    os.close(reader)
    os.close(writer)


def test_fds_that_find_no_room_are_noticed(ends: Pair) -> None:
    reader, writer = new_pipe()
    send_message(ends[0], ClientHsmfd("connectd", writer))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(ControlError, match="cut short"):
            receive_message(ends[1], "master")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    os.close(reader)


def test_fds_with_an_empty_datagram_are_no_end(ends: Pair) -> None:
    reader, writer = new_pipe()
    socket.send_fds(ends[0], [b""], [reader])
    before = fd_count()
    with pytest.raises(ControlError, match="no control message"):
        receive_message(ends[1], "master")
    assert fd_count() == before
    os.close(reader)
    os.close(writer)


BYTES = st.binary(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=5) | BYTES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
NUMBERS = st.sampled_from(sorted(ControlMessage.registry))
DATAGRAMS = st.one_of(
    st.binary(min_size=1, max_size=50),
    VALUES.map(msgpack.packb),
    st.builds(lambda number, rest: msgpack.packb([number, *rest]), NUMBERS, st.lists(VALUES, max_size=8)),
)


@settings(max_examples=100, deadline=None)
@given(datagram=DATAGRAMS, fds=st.integers(0, 3), sender=st.sampled_from(["master", "connectd", "gossipd"]))
def test_whatever_comes_is_a_message_or_an_error_and_no_fd_is_lost(datagram: bytes, fds: int, sender: str) -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with left, right:
        before = fd_count()
        socket.send_fds(left, [datagram], [left.fileno()] * fds)
        try:
            message = receive_message(right, sender)
        except ControlError:
            pass
        else:
            assert message is not None
            message.close_fds()
        assert fd_count() == before
