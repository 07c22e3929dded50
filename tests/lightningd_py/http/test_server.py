"""HTTP for pages: what is answered, and that no client holds another one up."""

import asyncio
import contextlib
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from lightningd_py.http.server import (
    MAX_CLIENTS,
    MAX_REQUEST,
    SEND_BUFFER,
    Answer,
    BadRequest,
    HttpServer,
    Request,
    read_request,
)

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
PAGES, HINT = re.compile("/metrics"), "the metrics are at /metrics"
HALF = REQUEST[:-2]
SHORT, LONG = 0.3, 30.0
"""Seconds: of a server whose patience is waited for, and of one whose patience is not."""


class Served:
    """A server, and what it has refused."""

    def __init__(self, patience: float, body: bytes) -> None:
        self.refused: Counter[str] = Counter()
        self.asked: list[Request] = []
        self.body = body
        self.server = HttpServer(self._answer, self._note, patience, pages=PAGES, hint=HINT)
        self.port = self.server.start("127.0.0.1", 0)
        self.has_refused = asyncio.Event()

    async def _answer(self, request: Request) -> Answer:
        self.asked.append(request)
        return Answer("200 OK", "text/plain", self.body)

    def _note(self, reason: str) -> None:
        self.refused[reason] += 1
        self.has_refused.set()

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def get(self, request: bytes = REQUEST) -> bytes:
        """All that is answered."""
        reader, writer = await self.dial()
        writer.write(request)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served(LONG, b"figures")
    yield served
    await served.server.close()
    assert len(served.server) == 0


@pytest.fixture
async def hasty() -> AsyncIterator[Served]:
    served = Served(SHORT, bytes(16 * SEND_BUFFER))
    yield served
    await served.server.close()


async def test_a_scrape(served: Served) -> None:
    head, _, body = (await served.get()).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 200 OK",
        b"Content-Type: text/plain",
        b"Content-Length: 7",
        b"Cache-Control: no-store",
        b"Connection: close",
    ]
    assert body == b"figures"
    assert served.asked == [Request("/metrics", "", False)]
    assert not served.refused


async def test_head_has_no_body(served: Served) -> None:
    assert (await served.get(b"HEAD" + REQUEST[3:])).endswith(
        b"Content-Length: 7\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )


async def test_another_page(served: Served) -> None:
    assert (await served.get(b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert served.refused == {"no_such_page": 1} and served.asked == []


def test_what_is_accepted_is_read() -> None:
    head = (
        b"GET /metrics?name=x HTTP/1.0\r\nHost: x\r\naccept: application/openmetrics-text;version=1.0.0\r\nAccept:*/*"
    )
    assert read_request(head) == Request("/metrics", "application/openmetrics-text;version=1.0.0,*/*", False)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"GET",
        b"GET /metrics",
        b"GET metrics HTTP/1.1",
        b"GET /metrics HTTP/2.0",
        b"GET /me trics HTTP/1.1",
        b"POST /metrics HTTP/1.1",
        b"GET /metrics HTTP/1.1\r\nno header",
        b"GET /metrics HTTP/1.1\r\nA: \x00",
    ],
)
def test_what_is_no_request(head: bytes) -> None:
    with pytest.raises(BadRequest):
        read_request(head)


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x16\x03\x01\x02\x00",
        b"POST /metrics HTTP/1.1\r\n",
        b"GET /metrics\r\n\r\n",
        b"GET /" + b"x" * MAX_REQUEST * 3,
    ],
    ids=["TLS", "POST", "HTTP/0.9", "long"],
)
async def test_rubbish_gets_400(served: Served, rubbish: bytes) -> None:
    assert (await served.get(rubbish)).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert served.refused == {"rubbish": 1}
    assert (await served.get()).endswith(b"figures")


async def test_a_request_may_come_byte_by_byte(served: Served) -> None:
    reader, writer = await served.dial()
    for byte in REQUEST:
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await reader.read()).endswith(b"figures")
    writer.close()


async def test_half_a_request_has_a_deadline(hasty: Served) -> None:
    reader, writer = await hasty.dial()
    writer.write(HALF)
    assert await reader.read() == b""
    assert hasty.refused == {"late": 1}
    writer.close()


async def test_a_client_that_never_reads_is_cut(hasty: Served) -> None:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, ("127.0.0.1", hasty.port))
        await loop.sock_sendall(sock, REQUEST)
        await hasty.has_refused.wait()
        assert hasty.refused == {"unread": 1}
        taken = 0
        with contextlib.suppress(ConnectionResetError):
            while data := await loop.sock_recv(sock, 1 << 16):
                taken += len(data)
        assert taken < len(hasty.body) / 2


async def test_100_half_requests_leave_room_for_a_whole_one(served: Served) -> None:
    halves = [await served.dial() for _ in range(100)]
    for _, writer in halves:
        writer.write(HALF)
    assert (await served.get()).endswith(b"figures")
    assert len(served.server) <= MAX_CLIENTS
    ended = await asyncio.gather(*(reader.read() for reader, _ in halves[: 100 - MAX_CLIENTS]))
    assert set(ended) == {b""}
    assert served.refused["crowded"] >= 100 - MAX_CLIENTS
    for _, writer in halves:
        writer.close()


async def test_a_client_that_leaves_is_forgotten(served: Served) -> None:
    for words in (b"", HALF, REQUEST):
        _, writer = await served.dial()
        writer.write(words)
        writer.close()
    assert (await served.get()).endswith(b"figures")
    assert served.refused.total() == 0


async def test_an_address_in_use(served: Served) -> None:
    other = HttpServer(served._answer, served._note, pages=PAGES, hint=HINT)
    with pytest.raises(OSError, match="in use"):
        other.start("127.0.0.1", served.port)
    await other.close()
