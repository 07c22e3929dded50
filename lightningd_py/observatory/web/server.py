"""The HTTP server of the page: one catch-all route, so that nothing is answered that did not pass the guard.

aiohttp reads requests and writes answers; how many connections, requests and subscribers there may be, and how long
each may take, stands in `Limits`. Bodies of requests are refused. Answers under /api/ are JSON; /api/live is a line of
JSON each second.
"""

import asyncio
import contextlib
import gzip
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.web.connections import Connections, Limits
from lightningd_py.observatory.web.files import File, has_libraries, page_files
from lightningd_py.observatory.web.guard import HEADERS, Guard
from lightningd_py.observatory.web.questions import Busy
from lightningd_py.observatory.web.sources import Missing, Sources
from wire.control.shares import Shares
from wire.scid import scid_from_text

JSON, LINES = "application/json", "application/x-ndjson"
PIECE = 65_536
TICK = 1.0
"""Seconds between two lines of /api/live."""
_NODE = re.compile(r"/api/node/(0[23][0-9a-f]{64})")
_CHANNEL = re.compile(r"/api/channel/([0-9x]{5,40})")
_TIME = re.compile(r"[0-9]{1,14}")


class BadRequest(Exception):
    """What was asked has a wrong form; the text is one sentence."""


class PageServer:
    """Listens from `start` to `close`."""

    def __init__(self, sources: Sources, guard: Guard, limits: Limits | None = None) -> None:
        self._sources = sources
        self._guard = guard
        self._files = page_files()
        self.connections = Connections(limits or Limits())
        self._subscribers: Shares[asyncio.Task[Any], None] = Shares(self.connections.limits.subscribers)
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._fixed: dict[str, Callable[[], Awaitable[bytes]]] = {
            "/api/figures": sources.figures,
            "/api/extent": sources.extent,
            "/api/growth": sources.growth,
            "/api/propagation": sources.propagation,
        }

    async def start(self, host: str, port: int) -> int:
        """The port, which may be the system's choice. Raises OSError."""
        app = web.Application(client_max_size=1)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, lingering_time=0.0, shutdown_timeout=1.0)
        await self._runner.setup()
        made = self._runner.server
        assert made is not None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self.connections.bounded(made), host, port)
        self._sources.begin()
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def close(self) -> None:
        """The end, also of those who are here."""
        if self._server is not None:
            self._server.close()
        for task in [*self._subscribers]:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._sources.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        bounded = self.connections.of(request.transport)
        if bounded is None:
            raise web.HTTPBadRequest
        bounded.asked()
        try:
            if request.path == "/api/live" and self._refusal(request) is None:
                return await self._live(request)
            async with asyncio.timeout(self.connections.limits.answer):
                return await self._answer(request)
        except TimeoutError:
            bounded.give_up()
            raise
        finally:
            bounded.answered()

    def _refusal(self, request: web.Request) -> tuple[int, str] | None:
        refusal = self._guard.refusal(request.method, request.path, request.headers)
        if refusal is None and request.body_exists:
            return 413, "this server only reads: a request has no body"
        return refusal

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return await _say(request, *refusal)
        file = self._files.get(request.path)
        if file is not None:
            return await _send_file(request, file)
        try:
            return await _send(request, 200, JSON, await self._asked(request), is_packed=True)
        except BadRequest as error:
            return await _say(request, 400, str(error))
        except Missing as error:
            return await _say(request, 404, str(error))
        except ObservatoryError as error:
            return await _say(request, 503, str(error))
        except Busy:
            return await _say(request, 503, "too many questions at a time")

    async def _asked(self, request: web.Request) -> bytes:
        """Raises BadRequest, Missing, ObservatoryError, Busy."""
        path = request.path
        if path in self._fixed:
            return await self._fixed[path]()
        if path == "/api/about":
            about = {**self._sources.about(), "libraries": has_libraries(self._files)}
            return gzip.compress(json.dumps(about).encode())
        if path == "/api/map":
            return await self._map(request.query.get("at"))
        if match := _NODE.fullmatch(path):
            return await self._sources.node(bytes.fromhex(match[1]))
        if match := _CHANNEL.fullmatch(path):
            return await self._sources.channel(_scid(match[1]))
        raise Missing("there is no such page")

    async def _map(self, at: str | None) -> bytes:
        if at is None:
            return await self._sources.map()
        if not _TIME.fullmatch(at):
            raise BadRequest("at is unix milliseconds")
        return await self._sources.map_at(int(at))

    async def _live(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        for crowded, _ in self._subscribers.put(task, None, request.remote):
            crowded.cancel()
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": LINES, "Cache-Control": "no-store"})
        with contextlib.suppress(ConnectionError):
            try:
                async with asyncio.timeout(self.connections.limits.stream):
                    await response.prepare(request)
                    await self._tell(response, is_head=request.method == "HEAD")
            except TimeoutError:
                await response.write_eof()
            finally:
                self._subscribers.pop(task)
        return response

    async def _tell(self, response: web.StreamResponse, *, is_head: bool) -> None:
        seen = None
        while not is_head:
            news = self._sources.arrivals.news(seen)
            seen = news["number"]
            await response.write(
                json.dumps({**news, "layouts": self._sources.layouts, "vantages": self._sources.vantages()}).encode()
                + b"\n"
            )
            await asyncio.sleep(TICK)


def _scid(text: str) -> int:
    try:
        return scid_from_text(text)
    except ValueError as error:
        raise BadRequest(str(error)) from None


async def _say(request: web.Request, status: int, sentence: str) -> web.StreamResponse:
    headers = {"Allow": "GET, HEAD"} if status == 405 else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = json.dumps({"error": sentence}).encode()
    return await _send(request, status, JSON, body, headers, closes=request.body_exists)


async def _send_file(request: web.Request, file: File) -> web.StreamResponse:
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if request.headers.get("If-None-Match") == file.etag:
        return await _send(request, 304, file.kind, b"", headers)
    return await _send(request, 200, file.kind, file.body, headers)


async def _send(
    request: web.Request,
    status: int,
    kind: str,
    body: bytes,
    more: dict[str, str] | None = None,
    *,
    is_packed: bool = False,
    closes: bool = False,
) -> web.StreamResponse:
    """In pieces, each when the client has read most of those before."""
    headers = {**HEADERS, "Cache-Control": "no-store", "Content-Type": kind, **(more or {})}
    if is_packed and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
    elif is_packed:
        body = gzip.decompress(body)
    response = web.StreamResponse(status=status, headers=headers)
    if status != 304:
        response.content_length = len(body)
    if closes:
        response.force_close()
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        if request.method != "HEAD":
            for at in range(0, len(body), PIECE):
                await response.write(body[at : at + PIECE])
        await response.write_eof()
    return response
