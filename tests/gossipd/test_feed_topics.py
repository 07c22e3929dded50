"""Topics of the feed that are made on demand, or of what is not judged: what goes out, pings, gossip v2; and phases."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from tests.gossipd.gossipd_process import EVERYTHING, GossipdProcess, GossipdProcesses
from tests.gossipd.ingest.gossipd_inside import Inside
from tests.gossipd.messages import announcement, big_map, update
from tests.harness.collector import Collector
from tests.harness.injected_time import InjectedTime
from wire.bus.feed import TOPICS, Gossip, PeerPing, PeerPong, Sent, decode
from wire.control.control_wire import GetMetrics, GetMetricsReply, PeerDisconnected
from wire.control.control_wire import Ping as PingRequest
from wire.control.control_wire import Pong as PongReply
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.peer_wire import Ping, Pong, WarningMessage

SENT_TOPICS = 3


@pytest.fixture
async def publisher(gossipds: GossipdProcesses, tmp_path: Path) -> GossipdProcess:
    gossipd = gossipds.new()
    limits = Limits(read_rate=0)
    await gossipd.start(
        feed=f"ipc://{tmp_path}/feed",
        feed_needed=True,
        limits=limits,
        timing=Timing(gossip_flush=1.0),
        vantage="somewhere",
    )
    return gossipd


async def taken(gossipd: GossipdProcess, topics: int) -> None:
    while (await gossipd.status())["feed_topics"] != topics:
        pass


# what goes out


async def test_what_is_said_to_a_peer(publisher: GossipdProcess, tmp_path: Path) -> None:
    """By its filter, and our own; each message that it gets, once."""
    good = big_map(50, 20)
    teller, asker = await publisher.connect(tcp=True), await publisher.connect(tcp=True)
    await teller.say(*good)
    await publisher.settled_at("accepted", len(good))
    with Collector(tmp_path / "feed", "sent.") as collector:
        await taken(publisher, SENT_TOPICS)
        await asker.say(EVERYTHING)
        got = await asker.gossip(len(good))
        await collector.until(lambda: len(collector.messages) >= len(got))
        said = [message for message in collector.messages if isinstance(message, Sent)]
        assert [message.raw for message in said if message.conn_id == asker.conn_id] == got
        assert {message.vantage for message in said} == {"somewhere"}


async def test_who_takes_everything_does_not_take_what_goes_out(publisher: GossipdProcess, tmp_path: Path) -> None:
    with Collector(tmp_path / "feed") as collector:
        await taken(publisher, len(TOPICS) - SENT_TOPICS)
        teller, asker = await publisher.connect(), await publisher.connect()
        await asker.say(EVERYTHING)
        await teller.say(announcement(), update())
        await asker.gossip(2)
        await collector.until_arrivals(2)
        assert not [message for message in collector.messages if isinstance(message, Sent)]


# pings


async def test_pings_and_pongs_both_ways(publisher: GossipdProcess, tmp_path: Path) -> None:
    with Collector(tmp_path / "feed", "peer.ping", "peer.pong") as collector:
        await taken(publisher, 2)
        peer = await publisher.connect(tcp=True)
        await peer.sync(7)
        await peer.say(Ping(65_535, b""))
        asked = asyncio.create_task(publisher.master.request(PingRequest(b"", peer.conn_id, 9, 0), PongReply))
        await peer.hear(Ping)
        await peer.say(Pong(bytes(9)))
        assert (await asked).totlen == 13
        await peer.say(Pong(bytes(4)))
        await collector.until(lambda: len(collector.messages) == 6)
        said = [m for m in collector.messages if isinstance(m, PeerPing)]
        assert {message.conn_id for message in said} == {peer.conn_id}
        pings = [(m.dir, m.size) for m in said if not isinstance(m, PeerPong)]
        pongs = [m for m in said if isinstance(m, PeerPong)]
        assert sorted(pings) == [("in", 7), ("in", 65_535), ("out", 9)]
        assert [(m.dir, m.size) for m in pongs] == [("out", 7), ("in", 9), ("in", 4)]
        assert pongs[0].rtt_ns is None
        assert pongs[1].rtt_ns is not None
        assert 0 < pongs[1].rtt_ns < 10**10
        assert pongs[2].rtt_ns is None, "it was not asked for"


# gossip v2


@pytest.mark.bolt("B1-5")
@pytest.mark.parametrize(
    ("number", "topic"),
    [
        (267, "gossip.channel_announcement_2"),
        (269, "gossip.node_announcement_2"),
        (271, "gossip.channel_update_2"),
    ],
)
async def test_gossip_v2_is_passed_raw_and_counted(
    publisher: GossipdProcess, tmp_path: Path, number: int, topic: str
) -> None:
    """From a peer of ours, and through a gossip fd."""
    raw = number.to_bytes(2, "big") + b"whatever"
    with Collector(tmp_path / "feed", "gossip.") as collector:
        await taken(publisher, 7)
        peer = await publisher.connect()
        await peer.say(raw)
        await peer.sync()
        owner = await publisher.connect_elsewhere(41)
        owner.send(b"\0\0")
        owner.send(raw)
        await collector.until_arrivals(2)
        for message, conn_id in zip(collector.arrivals, (peer.conn_id, 41), strict=True):
            assert (message.topic, message.raw, message.conn_id) == (topic, raw, conn_id)
            assert (message.outcome, message.reason) == ("rejected", "gossip v2 is not judged yet")
            assert (message.type, message.short_channel_id) == (number, None)
    metrics = await publisher.master.request(GetMetrics(), GetMetricsReply)
    assert topic.partition(".")[2] in str(metrics)


@pytest.mark.bolt("B1-6")
async def test_its_even_type_ends_the_connection_and_is_passed_raw(publisher: GossipdProcess, tmp_path: Path) -> None:
    """The feature bit of gossip v2 is not offered: an unknown even type."""
    raw = (260).to_bytes(2, "big") + b"whatever"
    with Collector(tmp_path / "feed", "gossip.announcement_signatures_2") as collector:
        await taken(publisher, 1)
        peer = await publisher.connect()
        await peer.say(raw)
        last = (await peer.is_hung_up_on())[-1]
        assert WarningMessage.decode(last).data == b"unknown even message type 260"
        await collector.until(lambda: collector.arrivals)
        (said,) = collector.arrivals
        assert (said.raw, said.outcome, said.conn_id) == (raw, "rejected", peer.conn_id)
    publisher.said.get_nowait().close_fds()


# phases


def test_a_connection_is_in_sync_and_then_live(tmp_path: Path) -> None:
    """Of time that is injected: the usual ten seconds in which it says little."""
    with asyncio.Runner(loop_factory=InjectedTime) as runner:
        runner.run(_sync_and_live(tmp_path))


async def _sync_and_live(directory: Path) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, InjectedTime)
    inside = Inside(directory, loop)
    try:
        await inside.start()
        feed, said = inside.gossipd.feed, list[Gossip]()
        feed.subscribed(b"gossip.", wanted=True)
        feed.send = lambda topic, body: said.append(cast(Gossip, decode(topic, body)))
        peer = await inside.connect()
        for second in range(60):
            await peer.say(*[announcement()] * (200 if second < 25 else 1))
            await asyncio.sleep(1.0)
        phases = [message.phase for message in said]
        assert phases[: 25 * 200] == ["sync"] * (25 * 200)
        assert phases[-1] == "live"
        assert "sync" not in phases[phases.index("live") :]
        peer.close()
        await inside.hear(PeerDisconnected)
        assert not inside.gossipd.phases._syncing
    finally:
        inside.clean_up()
