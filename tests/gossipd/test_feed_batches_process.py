"""Batches of the real gossipd's feed: who changes to them loses nothing, who does not read them costs little."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import zmq

from lightningd_py.observatory.replay.publisher import Publisher
from lightningd_py.tools.feed_client import Feed
from tests.gossipd.gossipd_process import PATIENCE, GossipdProcess, GossipdProcesses
from tests.gossipd.messages import big_map, update
from tests.gossipd.test_feed_process import Stuck, taken
from tests.harness.collector import Collector, is_on_disk
from tests.harness.observatories import until
from wire.bus.feed import topics_of
from wire.bus.feed_batches import opened
from wire.control.limits import Limits

QUEUE = 20


async def started(gossipds: GossipdProcesses, path: Path, queue: int) -> GossipdProcess:
    gossipd = gossipds.new()
    await gossipd.start(feed=f"ipc://{path}", feed_needed=True, limits=Limits(read_rate=0, feed_queue=queue))
    return gossipd


async def test_a_sync_is_said_alike_singly_and_in_batches(gossipds: GossipdProcesses, tmp_path: Path) -> None:
    """The one that takes batches begins with single messages, and has each message once."""
    path = tmp_path / "feed"
    gossipd = await started(gossipds, path, 50_000)
    good = big_map(400, 120)
    with Collector(path) as singly, Collector(path, batches=True) as collector:
        await taken(gossipd, len(topics_of([b""])))
        peer = await gossipd.connect(tcp=True)
        await peer.say(*good)
        await gossipd.settled_at("accepted", len(good))
        for each in (singly, collector):
            await is_on_disk(each, gossipd.store)
            await each.until_arrivals(len(good))
        assert (singly.feed.lost, collector.feed.lost) == (0, 0)
        assert sorted(map(str, collector.arrivals)) == sorted(map(str, singly.arrivals))
        assert [each.seq for each in collector.arrivals if each.type == 258] == list(range(1, 801))
        assert collector.feed._batches == {"batch.gossip": "", "batch.map": "", "batch.peer": "peer."}


async def test_many_messages_come_at_a_time(gossipds: GossipdProcesses, tmp_path: Path) -> None:
    path = tmp_path / "feed"
    gossipd = await started(gossipds, path, 50_000)
    context = zmq.Context()
    subscriber = context.socket(zmq.SUB)
    try:
        subscriber.subscribe(b"batch.map")
        subscriber.connect(f"ipc://{path}")
        await taken(gossipd, 6)
        peer = await gossipd.connect(tcp=True)
        good = big_map(400, 120)
        await peer.say(*good)
        messages = batches = 0
        while messages < len(good):
            assert await asyncio.to_thread(subscriber.poll, 1_000 * PATIENCE)
            topic, body = subscriber.recv_multipart()
            assert topic == b"batch.map"
            messages += len(list(opened(topic, body)))
            batches += 1
        assert batches < len(good) / 3
    finally:
        context.destroy(linger=0)


class StuckInBatches(Stuck):
    """Takes batches of arrivals, and reads when it is told to."""

    def take(self, enough: Callable[[int], bool]) -> list[int]:
        found: list[int] = []
        while not found or not enough(found[-1]):
            assert self._socket.poll(PATIENCE * 1000)
            found += [values["seq"] for _, values in opened(*self._socket.recv_multipart())]
        return found


async def test_a_subscriber_that_does_not_read_sees_a_gap_and_costs_little(
    gossipds: GossipdProcesses, tmp_path: Path
) -> None:
    path = tmp_path / "feed"
    gossipd = await started(gossipds, path, QUEUE)
    with contextlib.closing(StuckInBatches(path, b"batch.gossip")) as stuck:
        await taken(gossipd, 7)
        peer = await gossipd.connect(tcp=True)
        await peer.say(*[update()] * 1_000)
        await peer.sync()
        size = gossipd.rss()
        for _ in range(10):
            await peer.say(*[update()] * 2_000)
            await peer.sync()
        assert gossipd.rss() - size < 4_000_000
        reading = asyncio.create_task(asyncio.to_thread(stuck.take, lambda seq: seq > 21_000))
        while not reading.done():
            await peer.say(update())
            await peer.sync()
        seen = await reading
        assert seen == sorted(set(seen))
        assert len(seen) < 21_000


def test_where_no_batches_are_made_messages_come_singly(tmp_path: Path) -> None:
    """An older node does not know the question."""
    with Publisher(tmp_path / "feed") as publisher, Feed(tmp_path / "feed", batches=True) as feed:
        assert publisher.wait(PATIENCE)
        until(lambda: publisher.has_subscriber("map.channel_removed"), "the subscriber")
        publisher.say("map.channel_removed", 1, short_channel_id=7, why="spent")
        found = feed.values(PATIENCE)
        assert found is not None
        assert (found[0], found[1]["why"]) == ("map.channel_removed", "spent")
