"""The parts of connectd that need no process: bounds, texts, what INIT says to whom."""

import asyncio
import errno
import socket
from pathlib import Path

import pytest

from connectd import connection
from connectd.connection import Connection, ConnectionEnded
from connectd.connections import Connections
from connectd.initmsg import InitRefused, our_init, read_init
from connectd.reach import addresses
from connectd.reach.addresses import AddressBook, from_socket, resolve, to_socket
from wire.address import WireAddr, parse_address
from wire.control.access import Guard
from wire.control.limits import Limits
from wire.frames import MAX_PACKET
from wire.net.sockman.sockman import SocketAddress, SockManOptions
from wire.peer_wire import Init
from wire.types import NETWORKS

REGTEST = NETWORKS["regtest"]
PUBLIC = WireAddr("ipv4", "8.8.8.8", 4711)


@pytest.mark.parametrize("text", ["8.8.8.8:4711", "[2001:4860:4860::8888]:4711"])
@pytest.mark.bolt("B1-26")
def test_a_public_peer_is_told_how_we_see_it(text: str) -> None:
    address = parse_address(text, 1)
    told = our_init(REGTEST, b"\x0a", address)
    assert told == Init(b"\x0a", b"\x0a", networks=[REGTEST], remote_addr=address).encode()


@pytest.mark.parametrize("text", ["127.0.0.1:1", "10.0.0.1:1", "[fe80::1]:1", "/a/path", "node.example:1"])
@pytest.mark.bolt("B1-26")
def test_others_are_not(text: str) -> None:
    assert Init.decode(our_init(REGTEST, b"", parse_address(text, 1))).remote_addr is None


def test_how_a_peer_sees_us_is_kept_if_the_internet_could_know_it() -> None:
    seen = [
        read_init(Init(b"", b"", None, remote_addr=address).encode(), REGTEST)
        for address in (PUBLIC, WireAddr("ipv4", "192.168.1.1", 1), None)
    ]
    assert [theirs.remote_addr if theirs else "" for theirs in seen] == ["8.8.8.8:4711", None, None]


def test_of_features_and_networks_only_so_much_is_kept() -> None:
    networks = [REGTEST, *[bytes([number]) * 32 for number in range(100)]]
    theirs = read_init(Init(b"", b"\xaa" * 65_000, networks[:10]).encode(), REGTEST)
    assert theirs is not None
    assert theirs.features == b"\xaa" * 1_250
    theirs = read_init(Init(b"", b"", networks).encode(), REGTEST)
    assert theirs is not None
    assert theirs.networks == networks[:16]
    with pytest.raises(InitRefused, match="Unsupported feature 519992 "):
        read_init(Init(b"", b"\1" + bytes(64_999)).encode(), REGTEST)


@pytest.mark.bolt("B1-23")
def test_the_old_map_holds_low_bits_only() -> None:
    init = Init.decode(our_init(REGTEST, bytes.fromhex("ffffff"), None))
    assert init.globalfeatures == bytes.fromhex("1fff")


def test_socket_addresses_and_back() -> None:
    me = SocketAddress("unix", "/a/path", 0)
    for text in ("1.2.3.4:5", "[::1]:5", "/a/path"):
        address = parse_address(text, 1)
        assert from_socket(to_socket(address), me) == address
    assert from_socket(SocketAddress("unix", "", 0), me) == parse_address("/a/path", 1)


async def test_an_address_is_its_own_answer() -> None:
    assert await resolve(PUBLIC) == [PUBLIC]


def test_the_book_is_bounded_and_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "MAX_NODES", 2)
    monkeypatch.setattr(addresses, "MAX_HINTS", 2)
    book = AddressBook()
    for number in range(3):
        book.hint(b"a", f"hint {number}")
    book.hint(b"a", "hint 1")
    book.reached(b"a", "last")
    assert book.known(b"a") == ["hint 1", "hint 2", "last"]
    book.hint(b"b", "hint")
    book.hint(b"c", "hint")
    assert book.known(b"a") == ["last"]


async def test_reading_pauses_while_the_inbox_holds_a_packet() -> None:
    stranger, ours = socket.socketpair()
    with stranger:
        sockman = Connections(1, lambda _: None, Limits(), Guard())
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

    sockman = Connections(5, on_accepted, Limits(half_open=2), Guard())
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
        stranger.settimeout(5)
        sockman = Connections(1, lambda _: None, Limits(), Guard())
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
    sockman = Connections(5, lambda _: arrived.set(), Limits(), Guard(), lambda: room)
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
        sockman = Connections(1, lambda _: None, Limits(), Guard())
        sockman.add(sockman.adopt(ours.detach(), b""), incoming=True, address=PUBLIC)
        sockman.event_accept_failed(OSError(errno.ENOBUFS, "no room"))
        assert len(sockman.open) == 1
        sockman.event_accept_failed(OSError(errno.EMFILE, "no fds"))
        assert not sockman.open
        assert stranger.recv(1) == b""
        sockman.close_sockets()
