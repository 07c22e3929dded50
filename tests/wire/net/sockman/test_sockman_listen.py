"""SockMan without Lightning: listening, accepting and dialling, and what can go wrong with them."""

import asyncio
import os
import random
import resource
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.wire.net.sockman.recorder import ANY_PORT, Echo, Pair, Recorder, turns
from wire.net.sockman import sockets, stamps
from wire.net.sockman.sockman import ConnectResult, SocketAddress, SockManOptions


@pytest.mark.parametrize("family", ["ipv4", "ipv6", "unix"])
async def test_an_echo_server_and_a_client(man: Recorder, tmp_path: Path, family: str) -> None:
    where = {
        "ipv4": ANY_PORT,
        "ipv6": SocketAddress("tcp", "::1", 0),
        "unix": SocketAddress("unix", str(tmp_path / "socket")),
    }
    server = Echo()
    address = server.bind_and_start_listening(where[family])
    server.start(SockManOptions())
    result = await man.connect_and_make_node_id(address, True, None)
    assert (result.error, result.proxy_failed) == ("", False)
    client = result.id
    assert client is not None
    payload = random.Random(1).randbytes(3_000_000)
    man.send_bytes(client, payload)
    await man.until(lambda: len(man.data.get(client, b"")) == len(payload))
    assert man.data[client] == payload
    man.close_connection(client)
    await server.join()
    assert not (tmp_path / "socket").exists()


async def test_both_ends_know_the_same_addresses(man: Recorder) -> None:
    server = Recorder()
    address = server.bind_and_start_listening(ANY_PORT)
    assert (address.family, address.host) == ("tcp", "127.0.0.1")
    assert address.port > 0
    server.start(SockManOptions())
    result = await man.connect_and_make_node_id(address, False, None)
    accepted = await server.until_event("new_connection_accepted")
    assert accepted == ("new_connection_accepted", accepted[1], address, result.me)
    server.close_sockets()


async def test_connections_wait_for_start(man: Recorder) -> None:
    server = Recorder()
    address = server.bind_and_start_listening(ANY_PORT)
    await man.connect_and_make_node_id(address, False, None)
    await turns()
    assert server.log == []
    server.start(SockManOptions())
    await server.until_event("new_connection_accepted")
    late = server.bind_and_start_listening(ANY_PORT)
    await man.connect_and_make_node_id(late, False, None)
    await server.until_event("new_connection_accepted", 2)
    server.close_sockets()


async def test_a_refused_connection_is_closed(man: Recorder) -> None:
    server = Recorder()
    server.on["new_connection_accepted"] = lambda id, me, them: False
    address = server.bind_and_start_listening(ANY_PORT)
    server.start(SockManOptions())
    await man.connect_and_make_node_id(address, False, None)
    await man.until_event("got_eof")
    assert "completed_for_node" not in server.names()
    server.close_sockets()


async def test_accepting_can_be_held_back(man: Recorder) -> None:
    server = Recorder()
    address = server.bind_and_start_listening(ANY_PORT)
    server.start(SockManOptions())
    server.may_accept = False
    await man.connect_and_make_node_id(address, False, None)
    await turns()
    assert server.log == []
    server.may_accept = True
    server.update_accepting()
    await server.until_event("new_connection_accepted")
    server.close_sockets()


async def test_accepting_stops_for_a_while_when_fds_run_out(man: Recorder) -> None:
    server = Recorder()
    address = server.bind_and_start_listening(ANY_PORT)
    result = await man.connect_and_make_node_id(address, False, None)
    assert result.id is not None
    server.start(SockManOptions(accept_pause=0.05))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        await server.until_event("accept_failed")
        await turns(50)
        assert server.names() == ["accept_failed"]  # it does not spin
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await server.until_event("new_connection_accepted")
    server.close_sockets()


async def test_ipv6_leaves_ipv4_alone() -> None:
    server = Recorder()
    six = server.bind_and_start_listening(SocketAddress("tcp", "::", 0))
    server.bind_and_start_listening(SocketAddress("tcp", "0.0.0.0", six.port))
    server.close_sockets()


async def test_an_address_in_use() -> None:
    server = Recorder()
    address = server.bind_and_start_listening(ANY_PORT)
    with pytest.raises(OSError, match="Address already in use"):
        server.bind_and_start_listening(address)
    server.close_sockets()


async def test_a_unix_socket_is_its_owners_and_replaces_a_stale_file(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    address = SocketAddress("unix", str(path))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    server = Recorder()
    server.bind_and_start_listening(address)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(OSError, match="another process listens there"):
        server.bind_and_start_listening(address)
    server.close_sockets()
    path.write_text("a file")
    with pytest.raises(OSError, match="something else is there that is no socket"):
        server.bind_and_start_listening(address)
    assert path.read_text() == "a file"


@pytest.mark.parametrize(
    ("to", "error"),
    [
        (SocketAddress("unix", "/nonexistent/socket"), "No such file or directory"),
        (SocketAddress("unix", "/" + "x" * 200), "AF_UNIX path too long"),
        (SocketAddress("tcp", "x" * 100 + ".invalid", 1), f"'{'x' * 100}.invalid' is no host name"),
    ],
)
async def test_a_dial_that_fails_is_an_answer(man: Recorder, to: SocketAddress, error: str) -> None:
    assert await man.connect_and_make_node_id(to, False, None) == ConnectResult(None, None, False, error)


async def test_a_refused_dial_and_an_unreachable_proxy(man: Recorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nobody = SocketAddress("tcp", "127.0.0.1", listener.getsockname()[1])
    assert await man.connect_and_make_node_id(nobody, False, None) == ConnectResult(
        None, None, False, "Connection refused"
    )
    proxied = await man.connect_and_make_node_id(SocketAddress("tcp", "x.onion", 9735), False, nobody)
    assert proxied == ConnectResult(None, None, True, "Connection refused")


async def test_a_proxy_is_dialled_instead(man: Recorder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = SocketAddress("tcp", "127.0.0.1", listener.getsockname()[1])
        result = await man.connect_and_make_node_id(SocketAddress("tcp", "x.onion", 9735), False, proxy)
        assert result.id is not None
        listener.accept()[0].close()


async def test_every_address_of_a_name_is_tried(man: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refused = closed.getsockname()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def resolve(to: SocketAddress) -> list[tuple[int, Any]]:
            return [(socket.AF_INET, refused), (socket.AF_INET, listener.getsockname())]

        monkeypatch.setattr("wire.net.sockman.sockman.resolve", resolve)
        result = await man.connect_and_make_node_id(SocketAddress("tcp", "a.name", 1), False, None)
    assert (result.id, result.error) == (1, "")


async def test_names_are_looked_up() -> None:
    assert await sockets.resolve(SocketAddress("tcp", "localhost", 9735))
    assert await sockets.resolve(SocketAddress("tcp", "10.0.0.1", 1)) == [(socket.AF_INET, ("10.0.0.1", 1))]


async def test_a_cancelled_dial_leaves_nothing_behind(man: Recorder, tmp_path: Path) -> None:
    path = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as first:
        full.bind(path)
        full.listen(0)
        first.connect(path)
        dial = asyncio.create_task(man.connect_and_make_node_id(SocketAddress("unix", path), False, None))
        await turns()
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
    assert man._connections == {}


async def test_a_dial_waits_for_room_in_a_full_unix_backlog(man: Recorder, tmp_path: Path) -> None:
    path = str(tmp_path / "full")
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as first:
        full.bind(path)
        full.listen(0)
        first.connect(path)
        dial = asyncio.create_task(man.connect_and_make_node_id(SocketAddress("unix", path), False, None))
        await turns()
        assert not dial.done()
        full.accept()[0].close()
        assert (await dial).id == 1


async def test_a_dial_cancelled_in_the_midst_of_tcp_leaves_nothing_behind(man: Recorder) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = SocketAddress("tcp", "127.0.0.1", full.getsockname()[1])
        results = []
        while True:  # until the kernel's queue is full and a SYN gets no answer
            dial = asyncio.create_task(man.connect_and_make_node_id(address, False, None))
            await turns(20)
            if not dial.done():
                break
            results.append(dial.result())
        dial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dial
    assert len(man._connections) == len(results)


async def test_options_of_tcp_sockets(man: Recorder, tcp_pair: Pair) -> None:
    fd = tcp_pair[0].detach()
    os.set_inheritable(fd, True)
    os.set_blocking(fd, True)
    id = man.adopt(fd, b"")
    assert not os.get_inheritable(fd)
    assert not os.get_blocking(fd)
    assert man.release(id) == (fd, b"")
    with socket.socket(fileno=fd) as sock:
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 131_072


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("adopted", [False, True], ids=["bound", "adopted"])
async def test_what_is_accepted_has_the_options_of_its_listener(man: Recorder, stamped: bool, adopted: bool) -> None:
    """A listener that another process has made, too; those of before its options were said have them all the same."""
    if adopted:
        listening = socket.create_server(("127.0.0.1", 0))
        address = man.adopt_listener(listening.detach())
    else:
        address = man.bind_and_start_listening(SocketAddress("tcp", "127.0.0.1", 0))
    man.stamp_reads(wanted=stamped)
    man.start(SockManOptions())
    with socket.create_connection((address.host, address.port)):
        _, id, me, _ = await man.until_event("new_connection_accepted")
        assert me == address
        with socket.socket(fileno=man.release(id)[0]) as sock:
            assert not os.get_blocking(sock.fileno())
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == 131_072
            assert bool(sock.getsockopt(socket.SOL_SOCKET, stamps.SO_TIMESTAMPNS)) == stamped
