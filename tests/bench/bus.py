"""Small messages from a peer over the MSG bus to a service and back, against a bare ROUTER and DEALER of pyzmq."""

import asyncio
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgpack
import zmq

from tests.bench.harness import Bench, Child, Row, cpu_seconds, swallow
from tests.connectd.connectiond.connectiond_process import TIMING, ConnectiondProcess
from tests.gossipd.ends import mirrored
from wire.bus.bus_wire import CONNECTIOND, CREDIT, Credit, Hello, Message, PeerDisconnected, Welcome
from wire.control.limits import Limits
from wire.frames import Frames

COUNT, SIZE = 20_000, 130
COMMITMENT = b"\0\x84" + bytes([1]) * (SIZE - 2)
"""commitment_signed: for a channel that nobody has registered, so the only service gets it."""
_FRAME = 34


class _Echo:
    """A service in plain pyzmq: sends each message back, within its credit, until the peer leaves."""

    def __init__(self, sock: "zmq.Socket[bytes]") -> None:
        self._sock = sock
        self._waiting: deque[bytes] = deque()
        self._seq = 0
        self._credit = CREDIT
        self._used = 0

    def hears(self, message: dict[str, Any]) -> bool:
        """Deal with one message; False for the last one."""
        if message["type"] == "message":
            self._waiting.append(message["message"])
        elif message["type"] == "credit":
            self._credit += message["messages"]
        while self._waiting and self._credit:
            self._answer(message["conn_id"])
        return bool(message["type"] != "peer_disconnected")

    def _answer(self, conn_id: int) -> None:
        self._seq += 1
        self._credit -= 1
        self._used += 1
        self._say("message", conn_id=conn_id, seq=self._seq, message=self._waiting.popleft())
        if self._used == CREDIT // 2:
            self._say("credit", conn_id=conn_id, messages=self._used)
            self._used = 0

    def _say(self, kind: str, **fields: Any) -> None:
        self._sock.send_multipart([CONNECTIOND, msgpack.packb({"v": 1, "type": kind} | fields)])


def _echo(endpoint: str, name: str, ticket: bytes) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as sock:
        sock.linger = 10_000
        sock.connect(endpoint)
        sock.send_multipart([CONNECTIOND, Hello(name, ticket).encode()])
        echo = _Echo(sock)
        while echo.hears(msgpack.unpackb(sock.recv_multipart()[1])):
            pass


def _talk(sock: socket.socket, count: int) -> float:
    """The peer: says so many messages and waits for all of them to come back; seconds."""
    frames, stream = Frames(mirrored()[1]), bytearray()
    for _ in range(count):
        frames.encrypt_into(stream, COMMITMENT)
    sock.setblocking(True)
    began = time.monotonic()
    saying = threading.Thread(target=sock.sendall, args=(stream,))
    saying.start()
    ended = swallow(sock, count * (SIZE + _FRAME))
    saying.join()
    return ended - began


async def _through_connectiond(bench: Bench, count: int) -> tuple[float, float]:
    """Seconds, and those of connectiond's CPU."""
    connectiond = ConnectiondProcess(bench.directory)
    try:
        await connectiond.start(replace(TIMING, bus_patience=60.0), limits=Limits(read_rate=0))
        ticket = connectiond.registers("echo")
        service = Child(_echo, connectiond.endpoint, "echo", ticket)
        while (await connectiond.said.get()).name() != "service_presence":
            pass
        peer = await connectiond.give("echo")
        before = cpu_seconds(connectiond.process.pid)
        talking = Child(_talk, peer.sock, count)
        seconds = await asyncio.to_thread(talking.result)
        spent = cpu_seconds(connectiond.process.pid) - before
        peer.close()
        service.result()
        connectiond.ends_well()
    finally:
        connectiond.clean_up()
    return seconds, spent


def _bare(bench: Bench, count: int) -> float:
    """Seconds of the same frames between a bare ROUTER and the same service, as many on the way."""
    body = Message(1, 1, COMMITMENT, bytes(33), 132, bytes(32)).encode()
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        endpoint = f"ipc://{bench.directory}/bare"
        router.bind(endpoint)
        service = Child(_echo, endpoint, "echo", b"")
        route, _, _ = router.recv_multipart()
        router.send_multipart([route, CONNECTIOND, Welcome("echo").encode()])
        began = time.monotonic()
        sent = heard = 0
        while heard < count:
            while sent < count and sent - heard < CREDIT:
                router.send_multipart([route, CONNECTIOND, body])
                sent += 1
            _, _, answer = router.recv_multipart()
            if msgpack.unpackb(answer)["type"] != "message":
                continue
            heard += 1
            if heard % (CREDIT // 2) == 0:
                router.send_multipart([route, CONNECTIOND, Credit(1, CREDIT // 2).encode()])
        seconds = time.monotonic() - began
        router.send_multipart([route, CONNECTIOND, PeerDisconnected(bytes(33), 1, "").encode()])
        service.result()
    return seconds


async def measure(bench: Bench) -> Iterator[Row]:
    """Both ways at once: each message goes to the service and comes back."""
    count = COUNT // 4 if bench.quick else COUNT
    bare = await asyncio.to_thread(_bare, bench, count)
    seconds, spent = await _through_connectiond(bench, count)
    unit = f"messages/s of {SIZE} bytes"
    return iter(
        [
            Row("peer to bus service and back", count / seconds, unit, count / bare, "bare ROUTER/DEALER"),
            Row("connectiond for one there and back", spent / count * 1e6, "µs CPU", target="<= 67"),
        ]
    )
