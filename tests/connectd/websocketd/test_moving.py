"""WebSockets that move from one websocketd to another: at any byte, in any state, in both directions."""

import asyncio
import random
import socket
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Opcode

from connectd.websocketd.bridges import Bridges, MovedBridge, Order
from connectd.websocketd.moving import VERSION
from connectd.websocketd.websocket import MovedWebSocket, WebSocket
from tests.connectd.webs import Websocketd, websocketd
from tests.connectd.websocketd.test_websocket import Client, frame
from tests.connectd.websocketd.test_websocketd import EMPTY, order
from tests.harness.web_peer import REQUEST
from wire.control.control_message import Fd
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import (
    MoveAll,
    MoveAllReply,
    MoveAllReplyfail,
    MoveBridge,
    MoveBridgeReply,
    MoveBridgeReplyfail,
    MoveDone,
    MoveLinks,
    MoveLinksReply,
    TakePlace,
    UnwrapWebsocket,
    WebsocketSource,
)
from wire.net.states import dump, load

PATIENCE = 60.0
SIZE = 3_000_000
"""Bytes each way: more than the buffers of the kernel and ours hold."""


def moved(websocket: WebSocket) -> WebSocket:
    """Another one, which goes on; through the bytes in which it moves."""
    left = load(MovedWebSocket, dump(websocket.leave(), VERSION), VERSION)
    return WebSocket(moved=left)


@given(cut=st.integers(1, 40), sizes=st.lists(st.integers(0, 300), min_size=1, max_size=5), seed=st.integers())
def test_moves_between_any_two_bytes(cut: int, sizes: list[int], seed: int) -> None:
    """In the request, in a frame's head, its mask, its payload, between the frames of a message."""
    chance = random.Random(seed)
    client, websocket = Client(), WebSocket()
    payload = [bytes([number]) * size for number, size in enumerate(sizes)]
    request = client.said()
    frames = [
        frame(Opcode.BINARY if number == 0 else Opcode.CONT, data, fin=number == len(payload) - 1)
        for number, data in enumerate(payload)
    ]
    data, received = request + b"".join(frames) + frame(Opcode.BINARY, b"last"), b""
    answers = b""
    for start in range(0, len(data), cut):
        received += websocket.receive(data[start : start + cut])
        answers += websocket.to_send()
        if chance.random() < 0.3:
            websocket = moved(websocket)
    assert received == b"".join(payload) + b"last"
    assert answers.startswith(b"HTTP/1.1 101 ")
    assert websocket.is_open and websocket.complaint is None


def test_bound_of_a_message_in_several_frames_moves() -> None:
    websocket = WebSocket()
    websocket.receive(REQUEST)
    websocket.to_send()
    websocket.receive(frame(Opcode.BINARY, bytes(100_000), fin=False))
    again = moved(websocket)
    again.receive(frame(Opcode.CONT, bytes(40_000)))
    assert again.complaint is not None and "131072" in again.complaint


def test_bound_of_a_frame_is_known_by_its_head() -> None:
    """Nothing of its payload is waited for."""
    websocket = WebSocket()
    websocket.receive(REQUEST)
    websocket.to_send()
    websocket.receive(frame(Opcode.BINARY, bytes(200_000))[:14])
    websocket.to_send()
    assert websocket.complaint is not None and websocket.ended


class Told:
    """A link that remembers."""

    def __init__(self) -> None:
        self.heard: list[WebsocketSource] = []

    def tell(self, message: WebsocketSource) -> None:
        self.heard.append(message)


async def test_bytes_both_ways_while_it_moves_all_the_time() -> None:
    """None is lost, doubled or reordered, with buffers full in both directions."""
    loop, chance = asyncio.get_running_loop(), random.Random(1)
    (ours, stream), (client_end, tcp) = socket.socketpair(), socket.socketpair()
    ours.setblocking(False)
    client_end.setblocking(False)
    bridges, link, moves = Bridges(room=2), Told(), 0
    bridges.unwrap(order(tcp, stream), link)
    client = Client()
    up, down = chance.randbytes(SIZE), chance.randbytes(SIZE)

    async def say() -> None:
        await loop.sock_sendall(client_end, client.said())
        client.hears(await loop.sock_recv(client_end, 1_000))
        for start in range(0, SIZE, 30_000):
            client.protocol.send_binary(up[start : start + 30_000])
        data = client.said()
        while data:
            size = chance.randrange(1, 20_000)
            await loop.sock_sendall(client_end, data[:size])
            data = data[size:]

    async def hear() -> bytes:
        heard = b""
        while len(heard) < SIZE:
            heard += await loop.sock_recv(ours, chance.randrange(1, 50_000))
        return heard

    async def client_hears() -> bytes:
        heard = b""
        while len(heard) < SIZE:
            heard += b"".join(each.data for each in client.hears(await loop.sock_recv(client_end, 50_000)))  # type: ignore[attr-defined]
        return heard

    async def move() -> None:
        nonlocal bridges, moves
        while True:
            await asyncio.sleep(chance.random() / 1_000)
            another = Bridges(room=2)
            for held in bridges.leave([link]):
                assert held.moved.link == 0
                another.take(held, link)
            bridges, moves = another, moves + 1

    async with asyncio.timeout(PATIENCE):
        moving = asyncio.create_task(move())
        hearing = asyncio.create_task(hear())
        await say()
        speaking = asyncio.create_task(loop.sock_sendall(ours, down))
        assert await client_hears() == down
        assert await hearing == up
        await speaking
        moving.cancel()
    assert moves > 10
    bridges.close_sockets()
    ours.close()
    client_end.close()


async def test_rate_of_a_source_moves() -> None:
    """To move is no way to have more parsed."""
    (ours, stream), (client_end, tcp) = socket.socketpair(), socket.socketpair()
    with ours, client_end:
        bridges, link = Bridges(room=2), Told()
        bridges.unwrap(order(tcp, stream, read_rate=100_000), link)
        client_end.send(REQUEST + EMPTY * 600)
        client_end.setblocking(False)
        await asyncio.get_running_loop().sock_recv(client_end, 100)
        (held,) = bridges.leave([link])
        assert held.moved.budget < 100_000
        another = Bridges(room=2)
        another.take(held, link)
        (again,) = another.leave([link])
        assert again.moved.budget <= held.moved.budget + 10_000
        again.close()


async def test_client_that_has_gone_meanwhile() -> None:
    """Its connectd hears so, if it waits for where it comes from."""
    (ours, stream), (client_end, tcp) = socket.socketpair(), socket.socketpair()
    bridges, link = Bridges(room=2), Told()
    unwrap = order(tcp, stream)
    unwrap.proxies = ["127.0.0.0/8"]
    bridges.unwrap(unwrap, link)
    with ours:
        (held,) = bridges.leave([link])
        client_end.close()
        another = Bridges(room=2)
        another.take(held, link)
        assert await asyncio.get_running_loop().run_in_executor(None, ours.recv, 1) == b""
        assert [message.address for message in link.heard] == [None]
        assert len(another) == 0
        another.close_sockets()


# two processes, of which one is the test


def bridge(**fields: object) -> bytes:
    return dump(MovedBridge(order=Order(7, "127.0.0.1:5"), **fields), VERSION)  # type: ignore[arg-type]


BAD = {
    "of a newer version": (dump(MovedBridge(order=Order(7, "a")), 99), "MovedBridge is of version 99"),
    "cut": (bridge()[:-3], "no state of MovedBridge"),
    "of a lying length": (b"\x92\x01\xc6\xff\xff\xff\xff", "no state of MovedBridge"),
    "without what it must have": (b"\x92\x01\x80", "no state of MovedBridge"),
    "with an address that is none": (dump(MovedBridge(order=Order(7, "?")), VERSION), "?"),
}


@pytest.fixture
def one(tmp_path):  # type: ignore[no-untyped-def]
    with websocketd(tmp_path / "one.log") as running:
        yield running


def pair() -> tuple[socket.socket, Fd]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    return ours, Fd(theirs.detach())


def opened(one: Websocketd) -> tuple[socket.socket, socket.socket, socket.socket]:
    """An open WebSocket: the link, the stream's other end, and the client."""
    link = socket.socket(fileno=one.fd_for_connectd())
    (ours, stream), (client, tcp) = socket.socketpair(), socket.socketpair()
    for sock in (ours, client):
        sock.settimeout(PATIENCE)
    send_message(link, order(tcp, stream))
    client.send(REQUEST)
    assert client.recv(1_000).startswith(b"HTTP/1.1 101 ")
    return link, ours, client


def carries(stream: socket.socket, client: socket.socket) -> bool:
    client.send(frame(Opcode.BINARY, b"up"))
    stream.send(b"down")
    return stream.recv(10) == b"up" and client.recv(100).endswith(b"down")


@pytest.mark.parametrize("what", sorted(BAD))
def test_bad_state_is_refused_in_one_sentence(one: Websocketd, what: str) -> None:
    state, reason = BAD[what]
    ours, theirs = pair()
    send_message(one.master, TakePlace(theirs))
    fds = [Fd(sock.detach()) for sock in socket.socketpair()]
    with ours:
        send_message(ours, MoveBridge(state, *fds, request_id=1))
        answer = receive_message(ours, "successor")
        assert isinstance(answer, MoveBridgeReplyfail) and reason in answer.error and "\n" not in answer.error


def refuses(ours: socket.socket) -> None:
    while not isinstance(message := receive_message(ours, "predecessor"), MoveBridge):
        assert message is not None
        message.close_fds()
    send_message(ours, MoveBridgeReplyfail("it is of a newer version", request_id=message.request_id))
    message.close_fds()


def dies(ours: socket.socket) -> None:
    message = receive_message(ours, "predecessor")
    assert message is not None
    message.close_fds()
    ours.close()


def lies(ours: socket.socket) -> None:
    for _ in range(2):
        message = receive_message(ours, "predecessor")
        assert isinstance(message, MoveBridge | MoveLinks)
        reply = MoveBridgeReply() if isinstance(message, MoveBridge) else MoveLinksReply(2)
        reply.request_id = message.request_id
        send_message(ours, reply)
        message.close_fds()


@pytest.mark.parametrize("fails", [refuses, dies, lies])
def test_old_one_goes_on_if_the_next_one_fails(one: Websocketd, fails: Callable[[socket.socket], None]) -> None:
    link, stream, client = opened(one)
    one.master.settimeout(PATIENCE)
    with link, stream, client:
        for _ in range(2):
            ours, theirs = pair()
            with ours:
                send_message(one.master, MoveAll(theirs, request_id=5))
                fails(ours)
                assert isinstance(receive_message(one.master, "websocketd"), MoveAllReplyfail)
            assert carries(stream, client)


def test_all_moves(one: Websocketd, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The links, too: the next one is told of another WebSocket by the same connectd. The old one ends."""
    with websocketd(tmp_path / "two.log") as two:
        link, stream, client = opened(one)
        half = frame(Opcode.BINARY, b"in two halves")
        client.send(half[:7])
        ours, theirs = pair()
        send_message(two.master, TakePlace(theirs))
        one.master.settimeout(PATIENCE)
        send_message(one.master, MoveAll(Fd(ours.detach()), request_id=5))
        assert receive_message(one.master, "websocketd") == MoveAllReply(1, 0, request_id=5)
        assert one.process.wait(PATIENCE) == 0, one.log()
        with link, stream, client:
            client.send(half[7:])
            assert stream.recv(100) == b"in two halves"
            assert carries(stream, client)
            (other, their), (another, tcp) = socket.socketpair(), socket.socketpair()
            another.settimeout(PATIENCE)
            with other, another:
                send_message(link, order(tcp, their))
                another.send(REQUEST)
                assert another.recv(1_000).startswith(b"HTTP/1.1 101 ")


def test_nothing_is_done_before_move_done(one: Websocketd) -> None:
    """The old one has all until then: what the client says stays in its socket, and is heard after it."""
    ours, theirs = pair()
    send_message(one.master, TakePlace(theirs))
    (stream_end, stream), (client, tcp) = socket.socketpair(), socket.socketpair()
    open_one = bridge(websocket=MovedWebSocket(is_open=True))
    with ours, stream_end, client:
        send_message(ours, MoveBridge(open_one, Fd(tcp.dup().detach()), Fd(stream.detach()), request_id=1))
        assert isinstance(receive_message(ours, "successor"), MoveBridgeReply)
        send_message(ours, MoveLinks([], request_id=2))
        assert receive_message(ours, "successor") == MoveLinksReply(1, request_id=2)
        client.send(frame(Opcode.BINARY, b"early"))
        assert tcp.recv(100, socket.MSG_PEEK), "nothing was read"
        send_message(ours, MoveDone())
        stream_end.settimeout(PATIENCE)
        assert stream_end.recv(100) == b"early"
        tcp.close()


def test_an_old_one_that_ends_half_way_ends_the_next_one(one: Websocketd) -> None:
    ours, theirs = pair()
    send_message(one.master, TakePlace(theirs))
    fds = [Fd(sock.detach()) for sock in socket.socketpair()]
    send_message(ours, MoveBridge(bridge(), *fds, request_id=1))
    assert isinstance(receive_message(ours, "successor"), MoveBridgeReply)
    ours.close()
    assert one.process.wait(PATIENCE) == 0, one.log()
    assert "BROKEN" not in one.log()


def test_orders_are_what_connectd_says() -> None:
    """Nothing of an order is lost in the state."""
    names = {field for field in UnwrapWebsocket.__dataclass_fields__ if not field.endswith("_fd")}
    assert names == set(Order.__dataclass_fields__)
