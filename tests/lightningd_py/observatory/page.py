"""The page's server in a test, and raw requests to it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from lightningd_py.observatory.web.arrivals import Arrivals
from lightningd_py.observatory.web.connections import Limits
from lightningd_py.observatory.web.guard import Guard
from lightningd_py.observatory.web.positions import Positions
from lightningd_py.observatory.web.server import PageServer
from lightningd_py.observatory.web.sources import Sources


class Served(NamedTuple):
    server: PageServer
    sources: Sources
    port: int

    async def raw(self, request: bytes) -> bytes:
        """All that comes until the connection ends."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        said = b""
        with contextlib.suppress(ConnectionError):
            said = await reader.read()
        writer.close()
        return said

    async def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case, body."""
        named = {"Host": f"127.0.0.1:{self.port}", "Connection": "close"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
        head, _, body = (await self.raw("\r\n".join(lines).encode())).partition(b"\r\n\r\n")
        status, *fields = head.decode().split("\r\n")
        found = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        return int(status.split()[1]), found, body

    async def json(self, path: str, **headers: str) -> Any:
        status, _, body = await self.get(path, **headers)
        assert status == 200, body
        return json.loads(body)


class Still(Positions):
    """No layout is made: that takes a process for half a second."""

    def covers(self, node_ids: object) -> bool:
        return True


@contextlib.asynccontextmanager
async def served(
    store: Path | None = None,
    *,
    record: Path | None = None,
    rpc: Path | None = None,
    guard: Guard | None = None,
    limits: Limits | None = None,
    positions: Positions | None = None,
) -> AsyncIterator[Served]:
    sources = Sources(Arrivals(), store, rpc, record, positions or Still())
    server = PageServer(sources, guard or Guard(), limits)
    try:
        yield Served(server, sources, await server.start("127.0.0.1", 0))
    finally:
        await server.close()
