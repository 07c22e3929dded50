"""The collector: whom it asks, and how often."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lightningd_py.metrics import collector
from lightningd_py.metrics.collector import FRESH, Around, Collector
from lightningd_py.rpc.connection import Doing
from lightningd_py.storage.kept import Refusal
from wire.control.control_channel import ChannelClosed
from wire.control.control_wire import GetMetrics, GetMetricsReply
from wire.metrics.declared import CHANNELS

NO_PROCESS = 1 << 22
"""No pid is so high."""


class Channel:
    """A daemon that answers when it is told to; it counts questions."""

    def __init__(self) -> None:
        self.asked = self.queued = 0
        self.may_answer = asyncio.Event()
        self.closed = False

    async def request(self, request: GetMetrics, reply_type: type[GetMetricsReply]) -> GetMetricsReply:
        """So many channels as it was asked."""
        self.asked += 1
        await self.may_answer.wait()
        if self.closed:
            raise ChannelClosed("it has died")
        return GetMetricsReply([(CHANNELS.name, [], float(self.asked)), ("lightning_peers", ["x", "in"], 1.0)], [])


class FewClients(list[SimpleNamespace]):
    """Of the JSON-RPC socket: one that waits for its answer."""

    accepted, refused = 3, 1

    def __init__(self) -> None:
        super().__init__([SimpleNamespace(doing=Doing.WAITING)])


class Bench:
    """A collector, one gossipd and one daemon that has just been started, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.gossipd, self.fresh = Channel(), Channel()
        process = SimpleNamespace(pid=NO_PROCESS)
        running = [
            SimpleNamespace(name="gossipd", channel=self.gossipd, heartbeat=object(), process=process),
            SimpleNamespace(name="connectd", channel=self.fresh, heartbeat=None, process=process),
        ]
        anything: Any = SimpleNamespace(
            running=running,
            deaths=Counter(),
            restarted=Counter(),
            blockheight=7,
            warning="none",
            outcomes=Counter(),
        )
        storage: Any = SimpleNamespace(
            table=SimpleNamespace(kept={}, bytes=4_096),
            waiting_bytes=0,
            received=2,
            returned=0,
            refused=Counter({Refusal.QUOTA: 5}),
        )
        rpc: Any = SimpleNamespace(clients=FewClients(), all_notifications_lost=0)
        none: Any = ()
        around = Around(
            ("1", "regtest", "02"), anything, anything, none, rpc, anything, none, anything, storage, NO_PROCESS, {}
        )
        self.collector = Collector(around, lambda: self.now)

    async def values(self, name: str) -> dict[str, float]:
        """Of one metric, by the last label."""
        text = (await self.collector.text(as_openmetrics=False)).decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return {"".join([*each.labels.values()][-1:]): each.value for each in samples if each.name == name}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.collector.close()


async def test_who_scrapes_at_once_gets_the_same_figures(bench: Bench) -> None:
    scrapes = [asyncio.create_task(bench.values(CHANNELS.name)) for _ in range(20)]
    await asyncio.sleep(0)
    bench.gossipd.may_answer.set()
    assert await asyncio.gather(*scrapes) == [{"": 1.0}] * 20
    bench.now = FRESH / 2
    assert await bench.values(CHANNELS.name) == {"": 1.0}
    bench.now = FRESH
    assert await bench.values(CHANNELS.name) == {"": 2.0}
    assert await bench.values("lightning_scrapes_total") == {"": 22.0}


async def test_what_is_not_the_daemons_own_is_rejected(bench: Bench) -> None:
    bench.gossipd.may_answer.set()
    assert "x" not in await bench.values("lightning_peers")
    assert (await bench.values("lightning_samples_rejected_total"))["gossipd"] == 1


async def test_a_daemon_that_has_not_begun_is_not_asked(bench: Bench) -> None:
    bench.gossipd.may_answer.set()
    assert await bench.values(CHANNELS.name) == {"": 1.0}
    assert bench.fresh.asked == 0


async def test_a_daemon_that_hangs_is_asked_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "DEADLINE", 0.01)
    for times in (1, 2, 3):
        bench.now += FRESH
        assert await bench.values(CHANNELS.name) == {}
        bench.now += FRESH
        assert (await bench.values("lightning_scrapes_unanswered_total"))["gossipd"] == 2 * times
    assert bench.gossipd.asked == 1
    bench.now += FRESH
    bench.gossipd.may_answer.set()
    assert await bench.values(CHANNELS.name) == {"": 2.0}  # the answer to the first question came too late for all


async def test_a_daemon_that_dies_meanwhile_is_left_out(bench: Bench) -> None:
    bench.gossipd.closed = True
    bench.gossipd.may_answer.set()
    assert await bench.values(CHANNELS.name) == {}
    bench.now = FRESH
    assert (await bench.values("lightning_scrapes_unanswered_total"))["gossipd"] == 2
    up = await bench.values("lightning_process_up")
    assert up == dict.fromkeys(["lightningd", "gossipd", "gossipd-workers", "connectd"], 0.0)
