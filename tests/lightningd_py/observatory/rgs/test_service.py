"""The server: any timestamp is answered, and no client holds another one up."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from lightningd_py.observatory.rgs import service as module
from lightningd_py.observatory.rgs.service import MOST_CLIENTS, Service
from lightningd_py.observatory.rgs.snapshots import Snapshots
from tests.lightningd_py.observatory.rgs.made import CHAIN, NOW, USUAL, write
from tests.lightningd_py.observatory.rgs.reading import read

HOUR = 3600
START = NOW // HOUR * HOUR


class Running:
    def __init__(self, folder: Path) -> None:
        self.store = write(folder / "gossip_store", {0: (USUAL, USUAL)})
        self.snapshots = Snapshots(folder / "rgs", self.store, HOUR, CHAIN)
        self.said: asyncio.Queue[str] = asyncio.Queue()
        self.now = float(START)
        self.service = Service(self.snapshots, self.said.put_nowait, lambda: self.now)
        self.ended = asyncio.Event()
        self.url = ""

    async def get(self, path: str, **headers: str) -> bytes:
        headers.setdefault("Accept-Encoding", "identity")
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(self.url + path, headers=headers) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.read()


@contextlib.asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    found = Running(folder)
    task = asyncio.create_task(found.service.run("127.0.0.1", 0, found.ended))
    sentence = await found.said.get()
    assert sentence.startswith("1 channels are served at http://127.0.0.1:")
    found.url = sentence.split(" ")[5].removesuffix("/snapshot")
    yield found
    found.ended.set()
    await task
    found.snapshots.close()


async def test_any_timestamp_and_both_versions(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        for base, version in (("", 1), ("/snapshot", 1), ("/v1/snapshot", 1), ("/v2", 2), ("/v2/snapshot", 2)):
            for timestamp in (0, 1, START - 1, START + 86_400, 10**19):
                found = read(await server.get(f"{base}/{timestamp}"))
                assert (found.version, len(found.channels), found.latest_seen) == (version, 1, START)
            assert read(await server.get(f"{base}/{START}")).channels == []
        zipped = await server.get("/snapshot/0", **{"Accept-Encoding": "gzip"})
        assert gzip.decompress(zipped) == await server.get("/snapshot/0")


@pytest.mark.parametrize("path", ["/", "/snapshot/", "/snapshot/-1", "/snapshot/x", "/v3/0", "/snapshot/../history"])
async def test_other_pages_are_not_there(tmp_path: Path, path: str) -> None:
    async with running(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 404 ")
        writer.close()


async def test_next_step_comes_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.01)
    async with running(tmp_path) as server:
        write(server.store, {0: (USUAL, USUAL), 1: (USUAL, USUAL)})
        server.now += HOUR
        assert (await server.said.get()).startswith(f"step {START + HOUR}: 2 channels")
        assert len(read(await server.get(f"/snapshot/{START}")).channels) == 1


async def test_store_that_is_away_is_said_once_and_what_was_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK", 0.01)
    monkeypatch.setattr(module, "AGAIN", 0.01)
    async with running(tmp_path) as server:
        with server.store.open("r+b") as file:
            file.truncate(100)
        server.now += HOUR
        assert "what was made before is served, and it is tried again" in await server.said.get()
        assert len(read(await server.get("/snapshot/0")).channels) == 1
        write(server.store, {0: (USUAL, USUAL), 1: (USUAL, USUAL)})
        assert (await server.said.get()).startswith(f"step {START + HOUR}: 2 channels"), "nothing was said in between"


async def test_clients_that_never_read_and_never_ask_hurt_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many as there may be, with an answer that no socket takes whole; the next client has its answer."""
    async with running(tmp_path) as server:
        monkeypatch.setattr(server.snapshots, "find", lambda *_, **__: bytes(8_000_000))
        port = int(server.url.rpartition(":")[2])
        idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2 * MOST_CLIENTS)]
        for number, (_, writer) in enumerate(idle):
            with contextlib.suppress(ConnectionError):
                writer.write(b"GET /snapshot/0 HTTP/1.1\r\n\r\n" if number % 2 else b"GET /sn")
        monkeypatch.undo()
        assert len(read(await server.get("/snapshot/0")).channels) == 1
        for _, writer in idle:
            writer.close()
