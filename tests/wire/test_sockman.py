"""SockMan without Lightning: echo servers and clients, real sockets, and what can go wrong with them."""

import asyncio
import os
import random
import resource
import socket
import stat
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wire import sockets
from wire.sockman import ConnectResult, SocketAddress, SockMan, SockManOptions

ANY_PORT = SocketAddress("tcp", "127.0.0.1", 0)
Pair = tuple[socket.socket, socket.socket]


class Recorder(SockMan):
    """Keeps what its events say. `on` has what else to do in an event, by its name without `event_`."""

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[Any, ...]] = []
        self.data: dict[int, bytearray] = {}
        self.on: dict[str, Callable[..., Any]] = {}
        self.may_recv = True
        self.may_send = True
        self.may_accept = True
        self.recvs = 0
        self._changed = asyncio.Event()

    def happened(self, what: str, *details: Any) -> Any:
        self.log.append((what, *details))
        self._changed.set()
        return self.on[what](*details) if what in self.on else None

    def names(self) -> list[str]:
        return [what for what, *_ in self.log]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), 10)

    async def until_event(self, what: str, times: int = 1) -> tuple[Any, ...]:
        await self.until(lambda: self.names().count(what) >= times)
        return [entry for entry in self.log if entry[0] == what][times - 1]

    def event_new_connection_accepted(self, id: int, me: SocketAddress, them: SocketAddress) -> bool:
        return self.happened("new_connection_accepted", id, me, them) is not False

    def event_accept_failed(self, error: OSError) -> None:
        self.happened("accept_failed", error)

    def event_got_data(self, id: int, data: bytes) -> None:
        self.recvs += 1
        self.data.setdefault(id, bytearray()).extend(data)
        self.happened("got_data", id, data)

    def event_got_eof(self, id: int) -> None:
        self.happened("got_eof", id)

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        self.happened("got_permanent_read_error", id, error)

    def event_ready_to_send(self, id: int) -> bool:
        return bool(self.happened("ready_to_send", id))

    def should_try_to_send(self, id: int) -> bool:
        return self.may_send

    def should_try_to_recv(self, id: int) -> bool:
        return self.may_recv

    def should_try_to_accept(self) -> bool:
        return self.may_accept

    def event_io_loop_completed_for_node(self, id: int) -> None:
        self.happened("completed_for_node", id)

    def event_io_loop_completed_for_all_peers(self) -> None:
        self.happened("completed_for_all_peers")


class Echo(SockMan):
    """Sends back what comes, and reads no more while the other end does not take it. Closes after the other end."""

    def event_got_data(self, id: int, data: bytes) -> None:
        if self.send_bytes(id, data):
            self.want_to_send(id)
            self.update_receiving(id)

    def should_try_to_recv(self, id: int) -> bool:
        return self.unsent_size(id) < 100_000

    def event_ready_to_send(self, id: int) -> bool:
        self.update_receiving(id)
        return False

    def event_io_loop_completed_for_node(self, id: int) -> None:
        self.update_receiving(id)

    def event_got_eof(self, id: int) -> None:
        self.close_connection(id)


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
    ends[1].settimeout(5)
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def tcp_pair() -> Iterator[Pair]:
    """The same over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        far = socket.create_connection(listener.getsockname())
        near, _ = listener.accept()
    far.settimeout(5)
    yield near, far
    near.close()
    far.close()


async def turns(count: int = 10) -> None:
    """Let the loop look at its fds so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def recv_all(sock: socket.socket, size: int) -> bytes:
    """So many bytes from a socket that is no SockMan's, while the loop runs."""
    sock.setblocking(False)
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < size:
        piece = await asyncio.wait_for(loop.sock_recv(sock, size - len(data)), 10)
        assert piece, "the other end has closed"
        data += piece
    return data


def reset(sock: socket.socket) -> None:
    """Close with an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# listening and dialling


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
    assert result.id is not None
    payload = random.Random(1).randbytes(3_000_000)
    man.send_bytes(result.id, payload)
    await man.until(lambda: len(man.data.get(result.id, b"")) == len(payload))
    assert man.data[result.id] == payload
    man.close_connection(result.id)
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
    with pytest.raises(OSError, match="Address already in use"):
        server.bind_and_start_listening(address)
    server.close_sockets()
    path.write_text("a file")
    with pytest.raises(OSError, match="Address already in use"):
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

        monkeypatch.setattr("wire.sockman.resolve", resolve)
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


# sending


async def test_what_the_socket_does_not_take_is_kept_and_sent_in_order(man: Recorder, pair: Pair) -> None:
    near, far = pair
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    id = man.adopt(near.detach(), b"")
    payload = random.Random(2).randbytes(200_000)
    unsent = man.send_bytes(id, payload[:100_000])
    assert 0 < unsent < 100_000
    assert man.unsent_size(id) == unsent
    assert man.send_bytes(id, memoryview(payload)[100_000:]) == unsent + 100_000
    assert await recv_all(far, 200_000) == payload
    await turns()
    assert man.unsent_size(id) == 0
    assert man.send_bytes(id, b"") == 0


async def test_will_send_more_lets_the_kernel_wait(man: Recorder, tcp_pair: Pair) -> None:
    id = man.adopt(tcp_pair[0].detach(), b"")
    assert man.send_bytes(id, b"first ", will_send_more=True) == 0
    tcp_pair[1].setblocking(False)
    with pytest.raises(BlockingIOError):
        tcp_pair[1].recv(100)
    man.send_bytes(id, b"second")
    assert await recv_all(tcp_pair[1], 12) == b"first second"


async def test_ready_to_send_comes_once_a_wish_and_when_nothing_is_unsent(man: Recorder, pair: Pair) -> None:
    near, far = pair
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    id = man.adopt(near.detach(), b"")
    man.want_to_send(id)
    await man.until_event("ready_to_send")
    man.send_bytes(id, bytes(100_000))
    man.want_to_send(id)
    await turns()
    assert man.names().count("ready_to_send") == 1
    await recv_all(far, 100_000)
    await man.until_event("ready_to_send", 2)
    await turns()
    assert man.names().count("ready_to_send") == 2
    assert man.unsent_size(id) == 0


async def test_a_stream_that_is_made_as_the_socket_takes_it(man: Recorder, pair: Pair) -> None:
    pieces = [bytes([number]) * 5000 for number in range(100)]
    waiting = list(pieces)

    def send_next(id: int) -> bool:
        while waiting and not man.send_bytes(id, waiting.pop(0)):
            pass
        if waiting:
            man.want_to_send(id)
        return False

    man.on["ready_to_send"] = send_next
    id = man.adopt(pair[0].detach(), b"")
    man.want_to_send(id)
    assert await recv_all(pair[1], 500_000) == b"".join(pieces)


async def test_sending_can_be_held_back(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    man.may_send = False
    man.want_to_send(id)
    await turns()
    assert man.log == []
    man.may_send = True
    await turns()
    assert man.log == []  # nobody looks at the socket
    man.want_to_send(id)
    await man.until_event("ready_to_send")


async def test_ready_to_send_can_cancel_receiving(man: Recorder, pair: Pair) -> None:
    order: list[str] = []
    man.on["got_data"] = lambda id, data: order.append("read")

    def send_first(id: int) -> bool:
        order.append("send")
        if order.count("send") < 5:
            man.want_to_send(id)
        return order.count("send") < 5

    man.on["ready_to_send"] = send_first
    man.want_to_send(man.adopt(pair[0].detach(), b""))
    await turns(1)
    pair[1].send(b"x")
    await man.until_event("got_data")
    assert order == ["send"] * 5 + ["read"]


# receiving


async def test_a_paused_socket_is_not_looked_at(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    man.may_recv = False
    pair[1].send(b"x" * 10)
    await turns()
    assert man.log == []
    registered = asyncio.get_running_loop().remove_reader(man._connections[id].fd)
    assert not registered
    man.may_recv = True
    man.update_receiving(id)
    await man.until_event("got_data")
    man.may_recv = False
    man.update_receiving(id)
    man.update_receiving(id)
    pair[1].send(b"y")
    await turns()
    assert man.data[id] == b"x" * 10


async def test_one_recv_a_connection_and_turn(man: Recorder, pair: Pair) -> None:
    near, far = pair
    far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    far.sendall(bytes(300_000))
    counts: list[int] = []
    man.on["completed_for_all_peers"] = lambda: counts.append(man.recvs)
    id = man.adopt(near.detach(), b"")
    await man.until(lambda: len(man.data.get(id, b"")) == 300_000)
    await man.until_event("completed_for_all_peers", man.recvs)
    assert man.recvs >= 5
    assert counts == list(range(1, man.recvs + 1))
    assert man.log[:3] == [("got_data", id, bytes(65_536)), ("completed_for_node", id), ("completed_for_all_peers",)]


async def test_a_turn_completes_after_all_connections_of_it(man: Recorder) -> None:
    ends = [socket.socketpair() for _ in range(5)]
    ids = {man.adopt(near.detach(), b"") for near, _ in ends}
    for _, far in ends:
        far.send(b"x")
    await man.until_event("completed_for_all_peers")
    before = man.log[: man.names().index("completed_for_all_peers")]
    assert {entry[1] for entry in before if entry[0] == "got_data"} == ids
    for _, far in ends:
        far.close()


async def test_after_eof_sending_goes_on(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    pair[1].send(b"the last")
    pair[1].shutdown(socket.SHUT_WR)
    await man.until_event("got_eof")
    await turns()
    man.update_receiving(id)
    await turns()
    assert man.names().count("got_eof") == 1
    assert man.data[id] == b"the last"
    payload = bytes(1_000_000)
    assert man.send_bytes(id, payload) > 0
    assert await recv_all(pair[1], len(payload)) == payload
    assert man.close_connection(id)
    assert not man.close_connection(id)
    assert pair[1].recv(1) == b""


async def test_a_reset_is_a_permanent_error(man: Recorder, tcp_pair: Pair) -> None:
    id = man.adopt(tcp_pair[0].detach(), b"")
    reset(tcp_pair[1])
    _, which, error = await man.until_event("got_permanent_read_error")
    assert which == id
    assert isinstance(error, ConnectionResetError)
    assert man.send_bytes(id, b"thrown away") == 0
    man.want_to_send(id)
    man.update_receiving(id)
    before = list(man.log)
    await turns()
    assert [entry for entry in man.log if entry not in before] in ([], [("completed_for_all_peers",)])
    assert man.close_connection(id)


async def test_a_failed_write_is_told_later_and_after_the_last_words(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    pair[1].send(b"you are wrong")
    pair[1].close()
    assert man.send_bytes(id, b"hello?") == 0
    assert man.send_bytes(id, b"hello?") == 0
    man.want_to_send(id)
    assert man.log == []
    _, _, error = await man.until_event("got_permanent_read_error")
    assert isinstance(error, BrokenPipeError)
    assert [what for what in man.names() if what.startswith("got")] == ["got_data", "got_permanent_read_error"]
    assert man.data[id] == b"you are wrong"


async def test_a_failed_write_of_a_paused_connection_is_told(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    man.may_recv = False
    man.update_receiving(id)
    pair[1].close()
    man.send_bytes(id, b"hello?")
    await man.until_event("got_permanent_read_error")
    assert man.data == {}


async def test_a_failed_write_of_what_was_kept_is_told(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    assert man.send_bytes(id, bytes(1_000_000)) > 0
    pair[1].close()
    await man.until_event("got_permanent_read_error")
    assert man.close_connection(id)


# giving and taking


async def test_adopted_bytes_go_first(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"unsent ", 700)
    assert id == 700
    man.send_bytes(id, b"new")
    assert await recv_all(pair[1], 10) == b"unsent new"


async def test_what_cannot_be_adopted_stays_the_callers(man: Recorder, pair: Pair) -> None:
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="non-socket"):
        man.adopt(reader, b"")
    os.close(reader)
    os.close(writer)
    man.adopt(pair[0].detach(), b"", 5)
    with pytest.raises(ValueError, match="connection 5 is here already"):
        man.adopt(pair[1].fileno(), b"", 5)
    pair[1].send(b"still open")


async def test_adopting_a_dead_socket_tells_it_later(man: Recorder, pair: Pair) -> None:
    pair[1].close()
    id = man.adopt(pair[0].detach(), b"unsent")
    assert man.log == []
    assert (await man.until_event("got_permanent_read_error"))[1] == id


async def test_a_released_connection_is_unknown(man: Recorder, pair: Pair) -> None:
    id = man.adopt(pair[0].detach(), b"")
    fd, unsent = man.release(id)
    assert unsent == b""
    for method in (man.release, man.unsent_size, man.want_to_send, man.update_receiving):
        with pytest.raises(KeyError):
            method(id)
    with pytest.raises(KeyError):
        man.send_bytes(id, b"")
    os.close(fd)


async def test_a_released_fd_with_data_costs_its_old_owner_nothing(man: Recorder, pair: Pair) -> None:
    loop = asyncio.get_running_loop()
    id = man.adopt(pair[0].detach(), b"")
    man.want_to_send(id)
    pair[1].send(b"x")
    fd, _ = man.release(id)
    iterations = 0
    select = loop._selector.select  # type: ignore[attr-defined]

    def counted(timeout: float | None = None) -> Any:
        nonlocal iterations
        iterations += 1
        return select(timeout)

    loop._selector.select = counted  # type: ignore[attr-defined]
    cpu = time.process_time()
    await asyncio.sleep(0.1)
    assert iterations <= 3
    assert time.process_time() - cpu < 0.05
    assert man.log == []
    assert os.read(fd, 10) == b"x"
    os.close(fd)


async def test_unsent_bytes_go_along(man: Recorder, pair: Pair) -> None:
    other = Recorder()
    payload = random.Random(3).randbytes(1_000_000)
    id = man.adopt(pair[0].detach(), b"")
    assert man.send_bytes(id, payload) > 0
    fd, unsent = man.release(id)
    assert payload.endswith(unsent)
    other.adopt(fd, unsent)
    assert await recv_all(pair[1], len(payload)) == payload
    other.close_sockets()


async def test_back_and_forth_under_traffic_no_byte_is_lost(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection changes its owner after every few reads, with bytes on the way in both directions."""
    monkeypatch.setattr("wire.sockman.RECV_SIZE", 7000)
    owners, chance = [Recorder(), Recorder()], random.Random(4)
    incoming, outgoing = chance.randbytes(2_000_000), chance.randbytes(2_000_000)
    received, sent, moves, all_received = bytearray(), 0, 0, asyncio.Event()
    for end in pair:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20_000)

    def send_some(man: Recorder, id: int) -> None:
        nonlocal sent
        if not man.unsent_size(id):
            piece = outgoing[sent : sent + chance.randrange(1, 40_000)]
            sent += len(piece)
            man.send_bytes(id, piece, will_send_more=chance.random() < 0.5)
        if sent < len(outgoing):
            man.want_to_send(id)

    def move(man: Recorder, id: int) -> None:
        nonlocal moves
        moves += 1
        other = owners[owners.index(man) ^ 1]
        fd, unsent = man.release(id)
        other.adopt(fd, unsent, id)
        send_some(other, id)

    def take(man: Recorder, id: int, data: bytes) -> None:
        received.extend(data)
        if len(received) == len(incoming):
            all_received.set()
        send_some(man, id)
        if chance.random() < 0.7:
            move(man, id)

    def ready(man: Recorder, id: int) -> bool:
        send_some(man, id)
        if chance.random() < 0.3:
            move(man, id)
        return chance.random() < 0.2

    for man in owners:
        man.on["got_data"] = lambda id, data, man=man: take(man, id, data)
        man.on["ready_to_send"] = lambda id, man=man: ready(man, id)
    far = Recorder()
    far_id = far.adopt(pair[1].detach(), incoming)
    send_some(owners[0], owners[0].adopt(pair[0].detach(), b"", 9))
    await far.until(lambda: len(far.data.get(far_id, b"")) == len(outgoing))
    await asyncio.wait_for(all_received.wait(), 10)
    assert received == incoming
    assert far.data[far_id] == outgoing
    assert moves > 200
    for man in (*owners, far):
        man.close_sockets()


@pytest.mark.parametrize("end", ["close", "release"])
@pytest.mark.parametrize(
    "event", ["got_data", "got_eof", "got_permanent_read_error", "ready_to_send", "completed_for_node", "accepted"]
)
async def test_a_handler_may_end_its_connection_in_any_event(man: Recorder, event: str, end: str) -> None:
    kept: list[int] = []
    ended: list[int] = []

    def finish(id: int, *details: Any) -> bool:
        ended.append(id)
        if end == "close":
            man.close_connection(id)
        else:
            kept.append(man.release(id)[0])
        return True

    man.on["new_connection_accepted" if event == "accepted" else event] = finish
    address = man.bind_and_start_listening(ANY_PORT)
    man.start(SockManOptions())
    peer = socket.create_connection((address.host, address.port))
    if event != "accepted":
        _, id, *_ = await man.until_event("new_connection_accepted")
        if event == "ready_to_send":
            man.want_to_send(id)
        peer.send(b"x" * 100_000 if event in ("got_data", "ready_to_send") else b"x")
        if event == "got_eof":
            peer.shutdown(socket.SHUT_WR)
    if event == "got_permanent_read_error":
        reset(peer)
    await man.until(lambda: bool(ended))
    at_end = [entry for entry in man.log if entry[0] != "completed_for_all_peers"]
    await turns()
    assert [entry for entry in man.log if entry[0] != "completed_for_all_peers"] == at_end
    assert len(ended) == 1
    assert man._connections == {}
    peer.close()
    for fd in kept:
        os.close(fd)


@pytest.mark.parametrize("question", ["should_try_to_recv", "should_try_to_send"])
async def test_a_handler_may_end_its_connection_when_it_is_asked(man: Recorder, pair: Pair, question: str) -> None:
    id = man.adopt(pair[0].detach(), b"")
    if question == "should_try_to_send":
        man.want_to_send(id)
    else:
        pair[1].send(b"x")
    setattr(man, question, man.close_connection)
    await turns()
    assert set(man.names()) <= {"completed_for_all_peers"}
    assert man._connections == {}


async def test_an_event_may_close_the_others_of_its_turn(man: Recorder) -> None:
    ends = [socket.socketpair() for _ in range(10)]
    man.on["got_data"] = lambda id, data: man.close_sockets()
    for near, far in ends:
        man.adopt(near.detach(), b"")
        far.send(b"x")
    await man.until_event("got_data")
    await turns()
    assert man.names().count("got_data") == 1
    for _, far in ends:
        far.close()


async def test_an_fd_number_used_again_in_the_same_turn_is_another_connection(man: Recorder) -> None:
    """The second connection of a turn is closed by the first, and its number given to a new one."""
    ends = [socket.socketpair() for _ in range(2)]
    ids = [man.adopt(near.detach(), b"") for near, _ in ends]
    fresh = socket.socketpair()
    numbers: list[tuple[int, int]] = []

    def replace(id: int, data: bytes) -> None:
        if data != b"old":
            return
        (other,) = set(ids) - {id}
        number = man._connections[other].fd
        man.close_connection(other)
        numbers.append((number, os.dup(fresh[0].fileno())))
        man.adopt(numbers[0][1], b"", 100)

    man.on["got_data"] = replace
    for _, far in ends:
        far.send(b"old")
    fresh[1].send(b"new")
    await man.until(lambda: 100 in man.data)
    await turns()
    assert man.data[100] == b"new"
    assert numbers[0][0] == numbers[0][1]
    assert man.names().count("got_data") == 2
    for sock in (ends[0][1], ends[1][1], *fresh):
        sock.close()


async def test_join_waits_for_the_last_connection(man: Recorder, pair: Pair) -> None:
    await man.join()
    id = man.adopt(pair[0].detach(), b"")
    address = man.bind_and_start_listening(ANY_PORT)
    man.start(SockManOptions())
    joined = [asyncio.create_task(man.join()) for _ in range(2)]
    await turns()
    assert not any(task.done() for task in joined)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port))
    joined.pop().cancel()
    man.close_connection(id)
    await joined[0]


async def test_ids_are_overridable_and_never_repeat(man: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [man.get_new_id() for _ in range(3)] == [1, 2, 3]
    monkeypatch.setattr(man, "get_new_id", lambda: 900)
    ends = socket.socketpair()
    assert man.adopt(ends[0].detach(), b"") == 900
    ends[1].close()


async def test_events_do_nothing_by_themselves(pair: Pair) -> None:
    man = SockMan()
    assert man.event_new_connection_accepted(1, ANY_PORT, ANY_PORT)
    assert not man.event_ready_to_send(1)
    assert man.should_try_to_recv(1)
    assert man.should_try_to_send(1)
    assert man.should_try_to_accept()
    man.event_onion_listen("x.onion:9735")
    man.event_accept_failed(OSError())
    id = man.adopt(pair[0].detach(), b"hello")
    man.want_to_send(id)
    pair[1].send(b"x")
    await turns()
    pair[1].close()
    await turns()
    assert man.close_connection(id)
