"""The chain answers nothing for ten minutes in the midst of a first sync, and after one: in the end nothing is missing.

Time is injected: the whole gossipd runs on the test's loop, with its usual intervals, a real signature worker, and
peers over socketpairs.

A map as large as the public network's would take minutes. So the bounds are made smaller, and the map is several times
as large as each of them. What is owed and finds no room either is found by comparing again.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gossipd.ask import seeker, wanted
from gossipd.ask.states import State
from gossipd.ingest import nodes as waiting
from gossipd.ingest import pending, txout
from gossipd.verdict import Verdict
from tests.gossipd import gossipd_process
from tests.gossipd.chain_source import ChainSource
from tests.gossipd.gossipd_process import CHAIN, EVERYTHING, FakePeer
from tests.gossipd.ingest.gossipd_inside import Inside
from tests.gossipd.messages import big_map
from tests.gossipd.owner import Owner
from tests.gossipd.serving import serve
from tests.harness.injected_time import InjectedTime
from tests.harness.waiting import until
from wire.control.control_wire import PeerNongossip
from wire.control.timing import Timing

CHANNELS, NODES = 2_000, 500
BEFORE = 200
"""Channels that are on the map when the chain stops."""
BOUNDS = {"pending": 400, "asked": 50, "waiting nodes": 100, "wanted": 600}
BATCH = 250
MINUTES = 10
OPENS_AT = 5
"""The minute in which a peer opens a channel."""
OPEN_CHANNEL = b"\0\x20" + CHAIN + bytes(32)
PAUSE = Timing().backpressure_pause
AFTERWARDS = 600.0
"""Seconds until the map is whole, when the chain is back: no probe that is due only each hour has found the rest."""


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MAX_PENDING", BOUNDS["pending"])
    monkeypatch.setattr(txout, "WINDOW", BOUNDS["asked"])
    monkeypatch.setattr(waiting, "MAX_WAITING", BOUNDS["waiting nodes"])
    monkeypatch.setattr(wanted, "MOST", BOUNDS["wanted"])
    monkeypatch.setattr(seeker, "BATCH", BATCH)
    monkeypatch.setattr(gossipd_process, "PATIENCE", 3_600.0)  # of injected time


class Bounds:
    """How full everything was at the worst, looked at in each turn of the loop."""

    def __init__(self, inside: Inside) -> None:
        self._inside = inside
        self.worst = dict.fromkeys(self._sizes(), 0)

    def _sizes(self) -> dict[str, int]:
        gossipd = self._inside.gossipd
        ingest = gossipd.ingest
        return {
            "pending": len(ingest.pending),
            "asked": len(gossipd.txout._tasks),
            "waiting nodes": len(ingest.nodes.waiting),
            "wanted": len(gossipd.seeker.wanted),
        }

    def look(self) -> None:
        """See how full it is now."""
        for name, size in self._sizes().items():
            self.worst[name] = max(self.worst[name], size)


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=InjectedTime) as runner:
        yield runner


@asynccontextmanager
async def started(directory: Path) -> AsyncIterator[Inside]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, InjectedTime)
    inside = Inside(directory, loop)
    try:
        await inside.start(check_txout=True)
        yield inside
        assert inside.exit_status is None
    finally:
        inside.clean_up()


async def pings_each_minute(peer: FakePeer, minutes: int | None = None) -> None:
    """For so long, or for ever. Each pong comes at once, or when reading has paused for as long as it may."""
    loop = asyncio.get_running_loop()
    for _ in itertools.repeat(None) if minutes is None else range(minutes):
        begin = loop.time()
        await peer.sync()
        assert loop.time() - begin <= PAUSE
        await asyncio.sleep(60.0)


async def opens_a_channel(inside: Inside, peer: FakePeer) -> Owner:
    """After some minutes: its connection goes up with what it said."""
    loop = asyncio.get_running_loop()
    await pings_each_minute(peer, OPENS_AT)
    begin = loop.time()
    await peer.say(OPEN_CHANNEL)
    said = await inside.hear(PeerNongossip)
    assert loop.time() - begin <= PAUSE
    assert (said.conn_id, said.message) == (peer.conn_id, OPEN_CHANNEL)
    return Owner(inside, said)


async def is_synced(inside: Inside) -> bool:
    return inside.gossipd.seeker.state is State.NORMAL


async def has_accepted(inside: Inside, count: int) -> bool:
    return (await inside.status())["accepted"] == count


async def ten_minutes_without_the_chain(directory: Path, after_first_sync: bool) -> None:
    messages = big_map(CHANNELS, NODES)
    async with started(directory) as inside, asyncio.TaskGroup() as tasks:
        bounds, source = Bounds(inside), ChainSource(inside)
        inside.watch(bounds.look)
        teller, pinger, opener = await inside.connect(), await inside.connect(features=b""), await inside.connect()
        running = [
            tasks.create_task(task) for task in (source.run(), serve(teller, messages), pings_each_minute(pinger))
        ]
        await teller.say(*messages[: 3 * BEFORE])
        await inside.settled_at("channels", BEFORE)
        if after_first_sync:
            await until(lambda: is_synced(inside), "the first sync does not end", within=AFTERWARDS)

        source.goes_on.clear()
        saying = tasks.create_task(teller.say(*messages[3 * BEFORE :]))
        opening = tasks.create_task(opens_a_channel(inside, opener))
        await asyncio.sleep(60.0 * MINUTES)
        owner = await opening
        status = await inside.status()
        assert saying.done() and status["channels"] == BEFORE and source.answered == BEFORE
        assert status[Verdict.FULL] > 0

        source.goes_on.set()
        await until(lambda: has_accepted(inside, len(messages)), "the rest does not come", within=AFTERWARDS)
        listener = await inside.connect()
        await listener.say(EVERYTHING)
        assert sorted(await listener.gossip(len(messages))) == sorted(messages)
        status = await inside.status()
        assert (status["channels"], status["nodes"], status["bad"], status["unfinished"]) == (CHANNELS, NODES, 0, 0)
        assert bounds.worst == BOUNDS
        owner.hangs_up()
        for task in running:
            task.cancel()


@pytest.mark.parametrize("after_first_sync", [False, True], ids=["in a first sync", "after it"])
def test_nothing_is_missing(runner: asyncio.Runner, tmp_path: Path, after_first_sync: bool) -> None:
    runner.run(ten_minutes_without_the_chain(tmp_path, after_first_sync))
