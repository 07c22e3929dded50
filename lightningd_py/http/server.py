"""HTTP for pages that strangers may ask for: GET, one answer a connection. Bounded, for any host that reaches the
address may connect: `--metrics-addr`, and `lightning-observatory rgs`.

At most `most` clients are here; one more takes the place of the oldest one of the address that has most. A client has
`patience` seconds to say its request, and some to take its answer. aiohttp's server bounds neither, takes 150 ms to
load, and would parse strangers' bytes in C within the master; a request for a page is a line and a header.
"""

import asyncio
import contextlib
import re
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from wire.control.shares import Shares
from wire.control.status import Status
from wire.net.sockman.sockets import address_of, listen_on
from wire.net.sockman.sockman import SocketAddress

MAX_CLIENTS = 8
MAX_REQUEST = 8_192
"""Bytes of a request line and its headers; Prometheus says 300."""
REQUEST_TIME = 10.0
"""Seconds."""
SEND_BUFFER = 65_536
"""Bytes that the kernel holds for a client that does not read."""
ACCEPT_PAUSE = 0.5
"""Seconds until the next try, when no client can be accepted."""
TEXT = "text/plain; charset=utf-8"
CRLF = "\r\n"

_REQUEST = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.[01]")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")

status = Status("http")


class Answer(NamedTuple):
    """What a client gets. `encoding`: gzip, if the body is that."""

    code: str
    kind: str
    body: bytes
    encoding: str = ""


class BadRequest(Exception):
    """What the client says is no request for a page."""


class Request(NamedTuple):
    """What a client wants."""

    path: str
    accept: str
    head_only: bool
    takes_gzip: bool = False


def read_request(head: bytes) -> Request:
    """`head`: all before the empty line. Raises BadRequest."""
    line, *fields = head.split(b"\r\n")
    match = _REQUEST.fullmatch(line)
    headers = [_HEADER.fullmatch(each) for each in fields]
    if match is None or not all(headers):
        raise BadRequest
    said = {
        name: b",".join(each[2] for each in headers if each is not None and each[1].lower() == name).decode("latin-1")
        for name in (b"accept", b"accept-encoding")
    }
    encodings = (each.replace(" ", "") for each in said[b"accept-encoding"].lower().split(","))
    takes_gzip = any(each.partition(";")[0] == "gzip" and not each.endswith(";q=0") for each in encodings)
    return Request(match[2].decode().partition("?")[0], said[b"accept"], match[1] == b"HEAD", takes_gzip)


class HttpServer:
    """`answer` makes the page; `refused` hears why a client got none: rubbish, no_such_page, late, unread, crowded."""

    def __init__(
        self,
        answer: Callable[[Request], Awaitable[Answer]],
        refused: Callable[[str], None],
        patience: float = REQUEST_TIME,
        *,
        patience_to_take: float | None = None,
        pages: "re.Pattern[str]",
        hint: str,
        most: int = MAX_CLIENTS,
    ) -> None:
        """`patience_to_take`: for the answer, if that is more. `pages`: the paths that are there; `hint` tells them."""
        self._answer = answer
        self._refused = refused
        self._patience = patience
        self._patience_to_take = patience if patience_to_take is None else patience_to_take
        self._pages, self._hint = pages, hint
        self._clients: Shares[asyncio.Task[None], None] = Shares(most)
        self._accepting: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None
        self._short = False

    def __len__(self) -> int:
        """Clients that are here."""
        return len(self._clients)

    def start(self, host: str, port: int) -> int:
        """Listen there; the port, which may be the system's choice. Raises OSError."""
        self._listener, where = listen_on(SocketAddress("tcp", host, port))
        self._accepting = asyncio.get_running_loop().create_task(self._accept(self._listener))
        return where.port

    async def close(self) -> None:
        """The end, also of those who wait."""
        tasks = [*([self._accepting] if self._accepting is not None else []), *self._clients]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, name = await loop.sock_accept(listener)
            except OSError as error:  # mostly: no fds are left
                if not self._short:
                    status.unusual(f"no client can be accepted: {error.strerror}")
                self._short = True
                await asyncio.sleep(ACCEPT_PAUSE)
            else:
                self._short = False
                self._admit(sock, address_of(name).host)

    def _admit(self, sock: socket.socket, host: str) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        task = asyncio.get_running_loop().create_task(self._serve(sock))
        task.add_done_callback(lambda _: self._gone(task, sock))
        for crowded, _ in self._clients.put(task, None, host):
            self._refused("crowded")
            crowded.cancel()

    def _gone(self, task: "asyncio.Task[None]", sock: socket.socket) -> None:
        sock.close()
        self._clients.pop(task)
        if not task.cancelled():
            task.result()

    async def _serve(self, sock: socket.socket) -> None:
        """One client to its end."""
        with contextlib.suppress(ConnectionError):
            try:
                async with asyncio.timeout(self._patience):
                    request, answer = await self._hear(sock)
            except TimeoutError:
                self._refused("late")
                return
            try:
                async with asyncio.timeout(self._patience_to_take):
                    await self._say(sock, answer, head_only=request is not None and request.head_only)
            except TimeoutError:
                self._refused("unread")

    async def _hear(self, sock: socket.socket) -> tuple[Request | None, Answer]:
        """The answer to the request that comes. Raises ConnectionError, also for a client that leaves before."""
        try:
            request = read_request(await self._head(sock))
        except BadRequest:
            self._refused("rubbish")
            return None, Answer("400 Bad Request", TEXT, b"GET is all that is answered here\n")
        if self._pages.fullmatch(request.path) is None:
            self._refused("no_such_page")
            return request, Answer("404 Not Found", TEXT, f"{self._hint}\n".encode())
        return request, await self._answer(request)

    async def _head(self, sock: socket.socket) -> bytes:
        data, loop = b"", asyncio.get_running_loop()
        while b"\r\n\r\n" not in data:
            if len(data) > MAX_REQUEST or not (b"GET ".startswith(data[:4]) or b"HEAD".startswith(data[:4])):
                raise BadRequest
            if not (more := await loop.sock_recv(sock, MAX_REQUEST)):
                raise ConnectionResetError("the client has left")
            data += more
        return data.partition(b"\r\n\r\n")[0]

    async def _say(self, sock: socket.socket, answer: Answer, *, head_only: bool) -> None:
        """And wait for the client to close: what it still says would throw away what it has not read."""
        head = (
            f"HTTP/1.1 {answer.code}\r\nContent-Type: {answer.kind}\r\nContent-Length: {len(answer.body)}\r\n"
            f"{f'Content-Encoding: {answer.encoding}{CRLF}' if answer.encoding else ''}"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, head.encode() + (b"" if head_only else answer.body))
        sock.shutdown(socket.SHUT_WR)
        while await loop.sock_recv(sock, MAX_REQUEST):
            pass
