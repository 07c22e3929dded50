"""Batches of a real NATS server's subjects: each once, gaps counted, rubbish left out and told of within bounds."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Never

import nats
import nats.errors
import pyarrow as pa
import pytest
from nats.aio.client import Client

from lightningd_py.observatory.jetstream.connecting import Access
from lightningd_py.observatory.jetstream.left_out import MOST
from lightningd_py.observatory.live import batches
from lightningd_py.observatory.live.batches import Batch, Live
from lightningd_py.observatory.tables.errors import ObservatoryError
from tests.harness.jetstream import NatsServer, Proxy
from tests.harness.waiting import until
from tests.lightningd_py.observatory.live.made import arrivals

SUBJECT = "ln.regtest.arrivals.east"


def body(found: Batch) -> bytes:
    """As a recorder sends it."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, found.rows.schema) as writer:
        writer.write_batch(found.rows)
    return bytes(sink.getvalue())


@asynccontextmanager
async def hearing(live: Live, take: Callable[[Batch], None], is_there: Callable[[], None]) -> AsyncIterator[None]:
    """From the subscription on."""
    there = asyncio.Event()

    def connected() -> None:
        is_there()
        there.set()

    running = asyncio.create_task(live.run(take, connected))
    try:
        await there.wait()
        yield
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def publish(client: Client, id: str, content: bytes, subject: str = SUBJECT) -> None:
    await client.publish(subject, content, headers={"Nats-Msg-Id": id, "Ln-Schema": "1"})


async def test_each_once(tmp_path: Path) -> None:
    heard: list[Batch] = []
    said: list[str] = []
    wrong: list[str] = []
    made = body(arrivals("east", b"\1\2a", b"\1\2b"))
    with NatsServer(tmp_path) as server:
        live = Live(Access(server.url), "regtest", ["east"], ["arrivals"], said.append, wrong.append)
        async with hearing(live, heard.append, lambda: None), await nats.connect(server.url) as client:
            for number in (3, 4, 4, 3, 7):
                await publish(client, f"east-1-arrivals-{number}", made)
            for _ in range(3):
                await publish(client, "east-1-arrivals-8", b"rubbish")
            await publish(client, "west-1-arrivals-0", made, "ln.regtest.arrivals.west")
            await publish(client, "east-2-arrivals-0", made)

            async def all_() -> bool:
                return len(heard) == 4

            await until(all_, lambda: str(heard))
        assert [(found.vantage, found.rows.num_rows, found.lost) for found in heard] == [
            ("east", 2, 0),
            ("east", 2, 0),
            ("east", 2, 2),
            ("east", 2, 0),
        ]
        where = f"a message at {SUBJECT} is left out: it is no Arrow batch"
        assert len(wrong) == 3 and all(each.startswith(where) for each in wrong)
    assert not said


async def test_rubbish_is_told_of_within_bounds(tmp_path: Path) -> None:
    heard: list[Batch] = []
    wrong: list[str] = []
    with NatsServer(tmp_path) as server:
        live = Live(Access(server.url), "regtest", [], ["arrivals"], lambda _: None, wrong.append)
        async with hearing(live, heard.append, lambda: None), await nats.connect(server.url) as client:
            for number in range(MOST + 80):
                await publish(client, f"of {number}", b"rubbish", f"ln.regtest.arrivals.\x1b{number % 2}")
            await publish(client, "east-1-arrivals-0", body(arrivals("east", b"\1\2a")))

            async def one() -> bool:
                return len(heard) == 1

            await until(one, "the batch after it")
            assert len(wrong) == MOST and not any("\x1b" in each for each in wrong)
    assert wrong[MOST:] == ["80 more messages for arrivals are left out"], "said at the end, too"


async def test_runs_are_remembered_with_a_share_for_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vantage point that always begins again does not make others' batches come twice."""
    monkeypatch.setattr(batches, "MOST_RUNS", 3)
    heard: list[Batch] = []
    of = {name: body(arrivals(name, b"\1\2a")) for name in ("east", "west")}
    with NatsServer(tmp_path) as server:
        live = Live(Access(server.url), "regtest", [], ["arrivals"], lambda _: None)
        async with hearing(live, heard.append, lambda: None), await nats.connect(server.url) as client:
            await publish(client, "west-1-arrivals-0", of["west"], "ln.regtest.arrivals.west")
            for epoch in range(10):
                await publish(client, f"east-{epoch}-arrivals-0", of["east"])
            await publish(client, "west-1-arrivals-0", of["west"], "ln.regtest.arrivals.west")
            await publish(client, "east-10-arrivals-0", of["east"])

            async def all_() -> bool:
                return [found.vantage for found in heard].count("east") == 11

            await until(all_, lambda: str(heard))
    assert [found.vantage for found in heard].count("west") == 1 and len(live._last) == 3


async def test_connection_that_the_server_ends_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This is said, and another one is made."""
    monkeypatch.setattr(batches, "PAUSE", 0.05)
    heard: list[Batch] = []
    said: list[str] = []
    there: list[int] = []
    with NatsServer(tmp_path) as server:
        proxy = Proxy(server)
        async with proxy as url:
            live = Live(Access(url), "regtest", [], ["arrivals"], said.append)
            async with hearing(live, heard.append, lambda: there.append(len(said))):
                proxy.end_for_good()

                async def again() -> bool:
                    return len(there) == 2

                await until(again, lambda: str(said))
                async with await nats.connect(server.url) as client:
                    await publish(client, "east-1-arrivals-0", body(arrivals("east", b"\1\2a")))

                    async def one() -> bool:
                        return len(heard) == 1

                    await until(one, "a batch by the other connection")
    ended = "NATS has ended the connection (user authentication expired); another one is made"
    assert said == [ended, "NATS is there again"] and there == [0, len(said)]


async def test_connection_that_ends_while_it_subscribes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clients: list[Client] = []

    async def subscribe(client: Client, *_: object, **__: object) -> Never:
        clients.append(client)
        raise nats.errors.ConnectionClosedError

    monkeypatch.setattr(Client, "subscribe", subscribe)
    with NatsServer(tmp_path) as server:
        live = Live(Access(server.url), "regtest", [], ["arrivals"], lambda _: None)
        with pytest.raises(ObservatoryError, match=f"^{server.url}: connection closed$"):
            await live.run(lambda _: None)
    assert [client.is_closed for client in clients] == [True]
