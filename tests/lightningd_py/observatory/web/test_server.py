"""The HTTP server: what it answers, and that strangers cannot hold it up."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.observatory.web import sources
from lightningd_py.observatory.web.connections import Limits
from lightningd_py.observatory.web.guard import HEADERS, Guard
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.small_map import make_small_map, write_small_map
from tests.harness.waiting import until
from tests.lightningd_py.observatory.page import Served, served
from wire.bus.feed import PeerConnected

SHORT = Limits(connections=4, subscribers=2, request=0.2, unread=0.2, answer=5.0, stream=0.2)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write_small_map(make_small_map(), tmp_path / "gossip_store")


async def test_page_and_its_files_have_the_headers() -> None:
    async with served() as page:
        for path in ("/", "/index.html", "/page.css", "/page.js"):
            status, headers, body = await page.get(path)
            assert status == 200 and body
            assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
            again = await page.get(path, If_None_Match=headers["etag"])
            assert (again[0], again[2]) == (304, b"")
            head = await page.get(path, "HEAD")
            assert (head[0], head[1]["content-length"], head[2]) == (200, str(len(body)), b"")


async def test_errors_have_the_headers_too() -> None:
    async with served(guard=Guard(token="a" * 43)) as page:
        for path, how, status in (
            ("/none", {}, 404),
            ("/../page.js", {}, 404),
            ("/vendor/", {}, 404),
            ("//evil.example/", {}, 404),
            ("/%2e%2e/%2e%2e/etc/passwd", {}, 404),
            ("/api/map", {}, 401),
            ("/", {"Host": "evil.example"}, 421),
            ("/", {"Origin": "null"}, 403),
            ("/", {"method": "POST"}, 405),
            ("/", {"method": "OPTIONS"}, 405),
        ):
            got, headers, body = await page.get(path, **how)
            if status == 404:
                got, headers, body = await page.get(path, Authorization="Bearer " + "a" * 43)
            assert got == status, path
            assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
            assert "error" in json.loads(body)


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"x: y\r\n" * 500 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n" + bytes(1000),
        b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: <script>\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: evil.example\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
async def test_wrong_requests_get_no_page_and_disturb_nobody(request_: bytes) -> None:
    async with served(limits=SHORT) as page:
        said = await page.raw(request_)
        assert b" 200 " not in said.split(b"\r\n")[0]
        assert b"<script>" not in said.partition(b"\r\n\r\n")[2]
        assert (await page.get("/"))[0] == 200


async def test_map_and_details(store: Path) -> None:
    async with served(store) as page:
        found = await page.json("/api/map")
        status, headers, _ = await page.get("/api/map", Accept_Encoding="gzip")
        assert (status, headers["content-encoding"], headers["cache-control"]) == (200, "gzip", "no-store")
        node_id, scid = found["nodes"]["id"][0], found["channels"]["scid"][0]
        assert (await page.json(f"/api/node/{node_id}"))["id"] == node_id
        assert (await page.json(f"/api/channel/{scid}"))["scid"] == scid
        for path, status in (
            (f"/api/node/02{'00' * 32}", 404),
            ("/api/node/xyz", 404),
            ("/api/channel/999x9x9", 404),
            ("/api/channel/99999999999x9x9", 400),
            ("/api/map?at=1", 404),
            ("/api/map?at=-1", 400),
            ("/api/growth", 404),
            ("/api/figures", 404),
        ):
            assert (await page.get(path))[0] == status, path
        about = await page.json("/api/about")
        assert (about["map"], about["node"], about["record"], about["vantages"]) == (True, False, False, False)


async def test_store_that_comes_later_and_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a compaction."""
    monkeypatch.setattr(sources, "MAP_FRESH", 0.0)
    async with served(tmp_path / "gossip_store") as page:
        status, _, body = await page.get("/api/map")
        assert status == 503 and "No such file" in json.loads(body)["error"]
        write_small_map(make_small_map(), tmp_path / "gossip_store")
        assert len((await page.json("/api/map"))["channels"]["scid"]) == 60
        store = GossipStore.open(tmp_path / "next")
        SyntheticMap(random_edges(2, 7, 4), 2, 1_790_000_000).write_store(store)
        store.close()
        (tmp_path / "next").rename(tmp_path / "gossip_store")
        assert len((await page.json("/api/map"))["channels"]["scid"]) == 7
        (tmp_path / "gossip_store").write_bytes(b"no store")
        assert (await page.get("/api/map"))[0] == 503


async def test_live_is_a_line_of_json_at_a_time() -> None:
    async with served() as page:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
        writer.write(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"application/x-ndjson" in head

        async def line() -> dict[str, Any]:
            await reader.readline()
            found: dict[str, Any] = json.loads(await reader.readline())
            await reader.readline()
            return found

        assert (await line())["peers"] == []
        shown = PeerConnected(
            topic="peer.connected",
            seq=1,
            time_ns=1,
            node_id=b"\2" + bytes(32),
            conn_id=1,
            address="<b>",
            incoming=True,
            features=b"",
        )
        page.sources.arrivals.hear(shown)
        assert [each["address"] for each in (await line())["peers"]] == ["<b>"]
        writer.close()


# bounds


async def ends(page: Served, request_: bytes) -> None:
    """The server closes this connection by itself, and goes on."""
    reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
    writer.write(request_)
    async with asyncio.timeout(10):
        while await _read(reader):
            pass
    writer.close()
    assert (await page.get("/"))[0] == 200


async def _read(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(1 << 16)
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET /x",
    ],
    ids=["nothing", "half", "idle", "half of the next"],
)
async def test_client_that_does_not_go_on_is_ended(request_: bytes) -> None:
    async with served(limits=SHORT) as page:
        await ends(page, request_)


async def test_live_ends_after_its_time_and_may_be_asked_again() -> None:
    async with served(limits=SHORT) as page:
        await ends(page, b"GET /api/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")


async def test_reader_that_never_reads_is_ended() -> None:
    """Two of them, at a body that no kernel's buffer takes."""
    asked = 0
    async with served(limits=SHORT) as page:

        async def large() -> bytes:
            nonlocal asked
            asked += 1
            return b"x" * 30_000_000

        page.server._fixed["/api/growth"] = large
        request_ = b"GET /api/growth HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n"
        opened = [await asyncio.open_connection("127.0.0.1", page.port, limit=1) for _ in range(2)]
        for _, writer in opened:
            writer.write(request_)

        async def are_gone() -> bool:
            return asked == 2 and not len(page.server.connections)

        await until(are_gone, "they are still there")
        assert (await page.get("/"))[0] == 200
        for _, writer in opened:
            writer.close()


async def test_one_address_with_too_many_connections_loses_its_oldest() -> None:
    limits = Limits(connections=4)
    async with served(limits=limits) as page:
        opened = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(9)]
        async with asyncio.timeout(10):
            for reader, _ in opened[:5]:
                assert await _read(reader) == b""
        assert len(page.server.connections) == 4
        for _, writer in opened:
            writer.close()


async def test_share_of_others_is_left_alone() -> None:
    """One from another address of loopback stays, while the crowd loses its own."""
    async with served(limits=Limits(connections=4)) as page:
        other = await asyncio.open_connection("127.0.0.1", page.port, local_addr=("127.0.0.2", 0))
        crowd = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(12)]
        async with asyncio.timeout(10):
            assert await _read(crowd[0][0]) == b""
        other[1].write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await other[0].read()).startswith(b"HTTP/1.1 200")
        for _, writer in (other, *crowd):
            writer.close()


async def test_too_many_subscribers_lose_the_oldest() -> None:
    async with served(limits=Limits(subscribers=2)) as page:
        opened = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
            writer.write(b"GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            opened.append((reader, writer))
        async with asyncio.timeout(10):
            while await _read(opened[0][0]):
                pass
        assert len(page.server._subscribers) == 2
        for _, writer in opened:
            writer.close()
