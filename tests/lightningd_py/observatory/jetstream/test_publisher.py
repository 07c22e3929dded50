"""The spool sent to a real NATS server that takes it, or does not: one sentence, and the spool keeps it."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import RetentionPolicy, StreamConfig

from lightningd_py.observatory.jetstream import publisher
from lightningd_py.observatory.jetstream.connecting import Access
from lightningd_py.observatory.jetstream.publisher import Publisher, Sending
from lightningd_py.observatory.jetstream.streams import Wanted, make_streams
from lightningd_py.observatory.record.spool import Spool
from lightningd_py.observatory.tables.schemas import batch
from tests.harness.jetstream import NatsServer, Proxy
from tests.harness.observatories import PATIENCE
from tests.harness.waiting import until

T0 = 1_790_000_000_000_000_000
ROWS = 7


class Said:
    """Sentences, which may be waited for."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, sentence: str) -> None:
        with self._changed:
            self.all.append(sentence)
            self._changed.notify_all()

    def heard(self, words: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(words in each for each in self.all), PATIENCE), self.all


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    with NatsServer(tmp_path) as found:
        yield found


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[Client]:
    found = await nats.connect(server.url)
    yield found
    await found.close()


def spooled(folder: Path, epoch: int = 1) -> None:
    """Batches of one row of the clock each."""
    spool = Spool(folder, "east", epoch)
    for number in range(ROWS):
        spool.write("clock", batch("clock", [(T0 + number, "east", *[None] * 7)]), "{}")
    spool.close()


@contextmanager
def publishing(
    folder: Path, server: NatsServer, say: Callable[[str], None], url: str | None = None
) -> Iterator[Publisher]:
    found = Publisher(folder, "east", Sending(Access(url or server.url), "regtest"), say)
    found.start()
    try:
        yield found
    finally:
        found.stop()


async def taken(client: Client) -> int:
    """Messages of the stream."""
    return (await client.jetstream().stream_info("LN_PEERS")).state.messages


async def test_server_that_takes_and_never_acknowledges(
    tmp_path: Path, server: NatsServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has taken is sent again, and is there once."""
    monkeypatch.setattr(publisher, "ANSWERED", 0.3)
    await make_streams(client, Wanted("regtest", max_bytes=32 << 20))
    config = (await client.jetstream().stream_info("LN_PEERS")).config
    config.no_ack = True
    await client.jetstream().update_stream(config)
    spooled(tmp_path / "record")
    said = Said()
    with publishing(tmp_path / "record", server, said) as sending:
        await asyncio.to_thread(said.heard, "NATS does not take what is recorded: no answer in time; the spool keeps")
        assert sending.progress().batches == 0 and sending.progress().waiting_bytes > 0
        config.no_ack = False
        await client.jetstream().update_stream(config)
        await asyncio.to_thread(said.heard, "batches are sent")
    assert sending.progress().batches == ROWS and sending.progress().waiting_bytes == 0
    assert await taken(client) == ROWS
    assert len(said.all) == 2


async def test_connection_that_the_server_ends_before_there_are_streams(
    tmp_path: Path, server: NatsServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one is made."""
    monkeypatch.setattr(publisher, "PAUSE", 0.05)
    spooled(tmp_path / "record")
    said = Said()
    proxy = Proxy(server)
    async with proxy as url:
        with publishing(tmp_path / "record", server, said, url) as sending:
            await asyncio.to_thread(said.heard, "no stream takes")
            proxy.end_for_good()

            async def again() -> bool:
                return len(proxy.connections) == 2

            await until(again, lambda: str(said.all))
            await make_streams(client, Wanted("regtest", max_bytes=32 << 20))

            async def sent() -> bool:
                return sending.progress().batches == ROWS

            await until(sent, lambda: str(said.all))
    assert await taken(client) == ROWS


async def test_stream_that_would_lose_batches(tmp_path: Path, server: NatsServer, client: Client) -> None:
    """One of the name that another program has made."""
    await make_streams(client, Wanted("regtest", max_bytes=32 << 20))
    await client.jetstream().delete_stream("LN_PEERS")
    subjects = [f"ln.regtest.{table}.*" for table in ("peers", "map", "clock", "losses")]
    config = StreamConfig(name="LN_PEERS", subjects=subjects, retention=RetentionPolicy.WORK_QUEUE)
    await client.jetstream().add_stream(config)
    spooled(tmp_path / "record")
    said = Said()
    with publishing(tmp_path / "record", server, said) as sending:
        await asyncio.to_thread(said.heard, "stream LN_PEERS would lose batches: its policies are not those of `init`")
        await client.jetstream().delete_stream("LN_PEERS")
        await make_streams(client, Wanted("regtest", max_bytes=32 << 20))
        await asyncio.to_thread(said.heard, "batches are sent")
    assert await taken(client) == ROWS == sending.progress().batches


async def test_server_that_ends_the_connection_for_good(
    tmp_path: Path, server: NatsServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """nats-py makes no other one after such an error: we do."""
    monkeypatch.setattr(publisher, "SAVE_EVERY", 0.05)
    await make_streams(client, Wanted("regtest", max_bytes=32 << 20))
    spooled(tmp_path / "record")
    proxy = Proxy(server)
    async with proxy as url:
        sending = Publisher(tmp_path / "record", "east", Sending(Access(url), "regtest"), lambda _: None)
        sending.start()
        try:
            await until(lambda: is_at(sending, ROWS), "the first batches")
            proxy.end_for_good()
            spooled(tmp_path / "record", 2)
            await until(lambda: is_at(sending, 2 * ROWS), "the others")
        finally:
            await asyncio.to_thread(sending.stop)
    assert len(proxy.connections) == 2
    assert await taken(client) == 2 * ROWS


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_mistake_of_ours_is_told_while_the_recording_goes_on(
    tmp_path: Path, server: NatsServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr(publisher, "messages_of", mistaken)
    await make_streams(client, Wanted("regtest", max_bytes=32 << 20))
    spooled(tmp_path / "record")
    said = Said()
    with publishing(tmp_path / "record", server, said) as sending:
        await asyncio.to_thread(said.heard, "nothing is sent any more, by a mistake of ours (ZeroDivisionError('by no")
    assert "mistake of ours" in sending.progress().trouble
    assert sending.progress().batches == 0 and await taken(client) == 0


async def is_at(sending: Publisher, count: int) -> bool:
    return sending.progress().batches == count


async def test_clock_that_is_a_day_off(
    tmp_path: Path, server: NatsServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence, and what is recorded is sent all the same."""
    now_ns = time.time_ns
    monkeypatch.setattr(publisher, "RENEW", 0.05)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + 86_400_000_000_000)
    await make_streams(client, Wanted("regtest", max_bytes=32 << 20))
    spooled(tmp_path / "record")
    said = Said()
    with publishing(tmp_path / "record", server, said):
        await asyncio.to_thread(said.heard, "the clock here is 24.0 h ahead of that of the NATS server")
        monkeypatch.setattr(time, "time_ns", now_ns)
        await asyncio.to_thread(said.heard, "the clock here agrees with that of the NATS server")
    assert await taken(client) == ROWS
    assert len(said.all) == 2
