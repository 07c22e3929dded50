"""The bounds of connections in their handshake, without a process."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from connectd import connection
from connectd.connection import Connection, ConnectionEnded
from connectd.connections import Connections
from wire.address import WireAddr
from wire.control.access import Access
from wire.control.limits import Limits
from wire.crypto_state import MAX_PACKET
from wire.net.sockman.sockman import SocketAddress, SockManOptions

PUBLIC = WireAddr("ipv4", "8.8.8.8", 4711)


async def test_reading_pauses_while_the_inbox_holds_a_packet() -> None:
    stranger, ours = socket.socketpair()
    with stranger:
        sockman = Connections(1, lambda _: None, Limits(), Access())
        conn_id = sockman.adopt(ours.detach(), b"")
        connection = sockman.add(conn_id, incoming=True, address=PUBLIC)
        sockman.event_got_data(conn_id, bytes(MAX_PACKET - 1))
        assert sockman.should_try_to_recv(conn_id)
        sockman.event_got_data(conn_id, bytes(1))
        assert not sockman.should_try_to_recv(conn_id)
        assert await connection.read(50) == bytes(50)
        assert sockman.should_try_to_recv(conn_id)
        sockman.close_sockets()


async def test_beyond_the_bound_the_oldest_stranger_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    accepted: list[Connection] = []
    arrived = asyncio.Event()

    def on_accepted(one: Connection) -> None:
        accepted.append(one)
        arrived.set()

    sockman = Connections(5, on_accepted, Limits(half_open=2), Access())
    path = str(tmp_path / "sock")
    sockman.bind_and_start_listening(SocketAddress("unix", path, 0))
    sockman.start(SockManOptions())
    ends = []
    for _ in range(4):
        arrived.clear()
        ends.append(await asyncio.open_unix_connection(path))
        await arrived.wait()
    for reader, _ in ends[:2]:
        assert await reader.read() == b""
    assert [connection.conn_id for connection in accepted] == [5, 6, 7, 8]
    assert list(sockman.open) == [7, 8]
    assert caplog.text.count("the oldest ones are closed") == 1
    sockman.close_sockets()
    for _, writer in ends:
        writer.close()


@pytest.mark.parametrize("reads", [False, True])
async def test_a_peer_must_take_what_is_sent_to_it(monkeypatch: pytest.MonkeyPatch, reads: bool) -> None:
    monkeypatch.setattr(connection, "WRITE_DEADLINE", 60.0 if reads else 0.01)
    stranger, ours = socket.socketpair()
    with stranger:
        stranger.settimeout(60)
        sockman = Connections(1, lambda _: None, Limits(), Access())
        peer = sockman.add(sockman.adopt(ours.detach(), b""), incoming=True, address=PUBLIC)
        peer.write(bytes(1_000_000))
        peer.write(bytes(1))
        left = 1_000_001 if reads else 0
        while left:
            left -= len(await asyncio.to_thread(stranger.recv, left))
        if reads:
            peer._check_unsent()
            assert peer.lost is None
        else:
            with pytest.raises(ConnectionEnded, match="does not take what is sent to it"):
                await peer.read(1)
        sockman.close_sockets()


async def test_nobody_is_accepted_while_the_owners_are_behind(tmp_path: Path) -> None:
    room = False
    arrived = asyncio.Event()
    sockman = Connections(5, lambda _: arrived.set(), Limits(), Access(), lambda: room)
    path = str(tmp_path / "sock")
    sockman.bind_and_start_listening(SocketAddress("unix", path, 0))
    sockman.start(SockManOptions())
    _, writer = await asyncio.open_unix_connection(path)
    await asyncio.sleep(0)
    assert not arrived.is_set()
    room = True
    sockman.update_accepting()
    await arrived.wait()
    sockman.close_sockets()
    writer.close()


async def test_without_fds_a_handshake_is_closed_for_the_next_one() -> None:
    stranger, ours = socket.socketpair()
    with stranger:
        sockman = Connections(1, lambda _: None, Limits(), Access())
        sockman.add(sockman.adopt(ours.detach(), b""), incoming=True, address=PUBLIC)
        sockman.event_accept_failed(OSError(errno.ENOBUFS, "no room"))
        assert len(sockman.open) == 1
        sockman.event_accept_failed(OSError(errno.EMFILE, "no fds"))
        assert not sockman.open
        assert stranger.recv(1) == b""
        sockman.close_sockets()
