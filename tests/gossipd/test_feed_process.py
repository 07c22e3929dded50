"""The feed of the real gossipd: its socket, a full sync, and subscribers of every kind."""

import asyncio
import contextlib
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import zmq
import zmq.auth

from gossipd.peers.standing import IGNORE_AT
from lightningd_py.tools.feed_client import Feed, Keys
from tests.gossipd.gossipd_process import PATIENCE, FakePeer, GossipdProcess, GossipdProcesses, peer_info
from tests.gossipd.messages import NOW, announcement, big_map, node_announcement, spoilt, update
from tests.harness.collector import Collector, is_on_disk
from tests.harness.ports import free_port
from wire.bus.feed import FeedError, PeerConnected, PeerDisconnected, decode, topics_of
from wire.control import control_wire
from wire.control.control_channel import RequestFailed
from wire.control.control_wire import AddGossip, AddGossipReply, FeedPeerConnected, FeedPeerDisconnected
from wire.control.limits import Limits
from wire.metrics import declared

EXAMPLE = Path(__file__).parent.parent.parent / "lightningd_py" / "examples" / "collect_gossip.py"
QUEUE = 500
"""Messages that wait for a slow subscriber here."""
REPEATS = 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "feed"


@pytest.fixture
async def publisher(gossipds: GossipdProcesses, path: Path) -> GossipdProcess:
    """A gossipd with a feed."""
    gossipd = gossipds.new()
    await gossipd.start(feed=f"ipc://{path}", feed_needed=True, limits=Limits(read_rate=0))
    return gossipd


async def taken(gossipd: GossipdProcess, topics: int) -> None:
    """Wait until so many topics are taken: subscriptions have arrived, or gone."""
    async with asyncio.timeout(PATIENCE):
        while (await gossipd.status())["feed_topics"] != topics:
            pass


# the socket


async def test_the_socket_is_its_owners_alone_and_goes_with_gossipd(publisher: GossipdProcess, path: Path) -> None:
    assert stat.S_IMODE((await asyncio.to_thread(path.stat)).st_mode) == 0o600
    with Collector(path) as collector:
        await taken(publisher, len(topics_of([b""])))
        publisher.ends_well()
        await collector.until(lambda: collector.ended)
    assert not await asyncio.to_thread(path.exists)


async def test_the_socket_of_a_killed_one_is_replaced(gossipds: GossipdProcesses, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    gossipd = gossipds.new()
    await gossipd.start(feed=f"ipc://{path}", feed_needed=True)
    with Collector(path):
        await taken(gossipd, len(topics_of([b""])))


async def test_a_file_in_the_way_is_left_alone(gossipds: GossipdProcesses, path: Path) -> None:
    await asyncio.to_thread(path.write_text, "mine")
    with pytest.raises(RequestFailed, match="something else is there that is no socket"):
        await gossipds.new().start(feed=f"ipc://{path}", feed_needed=True)
    assert await asyncio.to_thread(path.read_text) == "mine"


async def test_somebody_elses_socket_is_left_alone(gossipds: GossipdProcesses, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(RequestFailed, match="another process listens there"):
            await gossipds.new().start(feed=f"ipc://{path}", feed_needed=True)
    assert await asyncio.to_thread(path.is_socket)


async def test_a_directory_that_is_missing_is_said(gossipds: GossipdProcesses, tmp_path: Path) -> None:
    with pytest.raises(RequestFailed, match=r"cannot bind ipc://.*/nowhere/feed: No such file or directory"):
        await gossipds.new().start(feed=f"ipc://{tmp_path}/nowhere/feed", feed_needed=True)


async def test_a_feed_that_is_there_by_default_may_be_missing(gossipds: GossipdProcesses, path: Path) -> None:
    await asyncio.to_thread(path.write_text, "mine")
    gossipd = gossipds.new()
    await gossipd.start(feed=f"ipc://{path}")
    await gossipd.logs("UNUSUAL gossipd: no feed: cannot bind")
    assert (await gossipd.status())["feed_topics"] == 0


async def test_on_tcp_who_has_no_key_is_kept_out(gossipds: GossipdProcesses, tmp_path: Path) -> None:
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    gossipd = gossipds.new()
    await gossipd.start(feed=endpoint, feed_keys=str(tmp_path / "keys"), feed_needed=True)
    zmq.auth.create_certificates(tmp_path, "alice")
    keys = Keys(tmp_path / "alice.key_secret", tmp_path / "keys" / "server.key")
    zmq.auth.create_certificates(tmp_path, "other")
    other_server = keys._replace(server=tmp_path / "other.key")
    for wrong, reason in (
        (None, "CURVE keys are needed there"),
        (keys, "refuses this key"),
        (other_server, "the server's key is that of another node"),
    ):
        with pytest.raises(FeedError, match=reason):
            await asyncio.to_thread(Feed, endpoint, keys=wrong)
    await gossipd.logs("a client of a bus is refused")
    shutil.copy(tmp_path / "alice.key", tmp_path / "keys" / "clients")
    with Collector(endpoint, "gossip.", keys=keys) as collector:
        await taken(gossipd, 7)
        peer = await gossipd.connect()
        await peer.say(announcement())
        await collector.until(lambda: collector.arrivals)


async def test_subscribers_that_speak_are_no_danger(publisher: GossipdProcess, path: Path) -> None:
    """What is no subscription is read and ignored, what is too long ends the connection."""
    context = zmq.Context()
    crowd = [[b"hello"] * 300, [b"\1" + bytes(2_000)], [b""], [b"\1map.", b"\0map.", b"\1peer."]]
    sockets = [context.socket(zmq.XSUB) for _ in crowd]
    try:
        for rude, words in zip(sockets, crowd, strict=True):
            rude.connect(f"ipc://{path}")
            for word in words:
                rude.send(word)
        await taken(publisher, 4)
    finally:
        context.destroy(linger=0)
    await taken(publisher, 0)


async def test_a_subscriber_with_thousands_of_prefixes_is_disconnected(publisher: GossipdProcess, path: Path) -> None:
    """ZMQ would keep all of them; another subscriber does not notice."""
    context = zmq.Context()
    greedy, modest = context.socket(zmq.SUB), context.socket(zmq.SUB)
    monitor = greedy.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    greedy.reconnect_ivl = -1
    try:
        for each in (greedy, modest):
            each.connect(f"ipc://{path}")
        for number in range(99):
            modest.subscribe(f"map.{number}")
        modest.subscribe("map.channel_announcement")
        await taken(publisher, 1)
        for number in range(5_000):
            greedy.subscribe(f"peer.{number}")
        greedy.subscribe("gossip.")
        assert await asyncio.to_thread(monitor.poll, 1_000 * PATIENCE), "it is still connected"
        await taken(publisher, 1)
        peer = await publisher.connect()
        await peer.say(announcement())
        assert await asyncio.to_thread(modest.poll, 1_000 * PATIENCE)
        assert modest.recv_multipart()[0] == b"map.channel_announcement"
    finally:
        greedy.disable_monitor()
        monitor.close(linger=0)
        context.destroy(linger=0)
    assert "wants more than 100 prefixes: disconnected" in publisher.log()


# a sync


async def test_who_follows_a_sync_has_the_map_and_every_arrival(publisher: GossipdProcess, path: Path) -> None:
    good = big_map(400, 120)
    wrong = [spoilt(announcement(number), 3) for number in (901, 902, 903)] + [update(900), announcement(904)[:200]]
    with Collector(path) as collector:
        await taken(publisher, len(topics_of([b""])))
        peer, liar = await publisher.connect(tcp=True), await publisher.connect(tcp=True)
        await peer.say(*good)
        await peer.say(*good[:30])
        await publisher.settled_at("accepted", len(good))
        await liar.say(*wrong)
        await liar.sync()
        await collector.until_arrivals(len(good) + 30 + len(wrong))
        await is_on_disk(collector, publisher.store)
        said = Counter((message.raw, message.conn_id) for message in collector.arrivals)
        assert said == Counter(
            [(raw, peer.conn_id) for raw in good + good[:30]] + [(raw, liar.conn_id) for raw in wrong]
        )
        by_outcome = Counter(message.outcome for message in collector.arrivals)
        assert by_outcome["redundant"] == 30
        assert by_outcome["new"] + by_outcome["waiting"] == len(good)
        refused = [message.reason for message in collector.arrivals if message.outcome == "rejected"]
        assert Counter(reason.partition(": ")[2] or reason for reason in refused) == {
            "bad node_signature_1": 3,
            "its channel is not known": 1,
            "channel_announcement is too short": 1,
        }
        assert all(message.time_ns > NOW * 10**9 for message in collector.messages)
        assert collector.feed.lost == 0


async def test_gossip_of_a_connection_that_somebody_else_owns(publisher: GossipdProcess, path: Path) -> None:
    with Collector(path, "gossip.") as collector:
        await taken(publisher, 7)
        owner = await publisher.connect_elsewhere(41)
        await asyncio.get_running_loop().sock_sendall(owner, b"\0\0")
        await asyncio.get_running_loop().sock_sendall(owner, announcement())
        await collector.until(lambda: collector.arrivals)
        (said,) = collector.arrivals
        assert (said.conn_id, said.raw, said.outcome) == (41, announcement(), "new")


async def test_what_a_user_adds_comes_from_nobody(publisher: GossipdProcess, path: Path) -> None:
    with Collector(path, "gossip.") as collector:
        await taken(publisher, 7)
        await publisher.master.request(AddGossip(announcement()), AddGossipReply)
        await collector.until(lambda: collector.arrivals)
        assert collector.arrivals[0].node_id is None


async def test_gossip_of_an_ignored_peer_is_said_too(publisher: GossipdProcess, path: Path) -> None:
    with Collector(path, "gossip.") as collector:
        await taken(publisher, 7)
        peer = await publisher.connect()
        await peer.say(*[announcement()[: 100 + number] for number in range(int(IGNORE_AT) + 1)])
        await peer.say(node_announcement(3))
        await peer.sync()
        await collector.until_arrivals(int(IGNORE_AT) + 2)
        last = collector.arrivals[-1]
        assert (last.outcome, last.reason) == ("rejected", "its sender is ignored for a while")


async def test_peers_come_and_go(publisher: GossipdProcess, path: Path) -> None:
    info = peer_info(7)
    with Collector(path, "peer.") as collector:
        await taken(publisher, 4)
        publisher.master.send(FeedPeerConnected(info, 123))
        publisher.master.send(FeedPeerDisconnected(info.node_id, 7, "enough", 456))
        await collector.until(lambda: len(collector.messages) == 2)
        came, went = collector.messages
        assert came == PeerConnected(
            epoch=came.epoch,
            topic="peer.connected",
            seq=1,
            time_ns=123,
            node_id=info.node_id,
            conn_id=7,
            address=info.address,
            incoming=True,
            features=info.features,
        )
        assert isinstance(went, PeerDisconnected)
        assert (went.time_ns, went.reason) == (456, "enough")


# slow and dying subscribers


class Stuck:
    """Subscribes, and reads only when it is told to."""

    def __init__(self, path: Path, topic: bytes) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.RCVHWM, 1)
        self._socket.subscribe(topic)
        self._socket.connect(f"ipc://{path}")

    def take(self, enough: Callable[[int], bool]) -> list[int]:
        """`seq` of the messages until this one."""
        found: list[int] = []
        while not found or not enough(found[-1]):
            assert self._socket.poll(PATIENCE * 1000)
            topic, body = self._socket.recv_multipart()
            found.append(decode(topic, body).seq)
        return found

    def close(self) -> None:
        self._context.destroy(linger=0)


@pytest.fixture
async def small(gossipds: GossipdProcesses, path: Path) -> GossipdProcess:
    """A gossipd whose subscribers have little room."""
    gossipd = gossipds.new()
    await gossipd.start(feed=f"ipc://{path}", feed_needed=True, limits=Limits(read_rate=0, feed_queue=QUEUE))
    return gossipd


@pytest.fixture
async def stuck(small: GossipdProcess, path: Path) -> AsyncIterator[Stuck]:
    subscriber = Stuck(path, b"gossip.channel_update")
    await taken(small, 2)
    yield subscriber
    subscriber.close()


async def test_a_slow_subscriber_loses_messages_and_sees_it(small: GossipdProcess, stuck: Stuck, path: Path) -> None:
    """gossipd stays small, the sync is complete, another subscriber has everything."""
    good = big_map()
    updates = [raw for raw in good if raw[:2] == b"\x01\x02"]
    with Collector(path) as collector:
        await taken(small, len(topics_of([b""])))
        peer = await small.connect(tcp=True)
        await say_slowly(peer, good, collector)
        await small.settled_at("accepted", len(good))
        size = small.rss()
        for _ in range(REPEATS):
            await say_slowly(peer, updates, collector)
        assert collector.feed.lost == 0
        await is_on_disk(collector, small.store)
        assert small.rss() - size < 8_000_000
        total = (REPEATS + 1) * len(updates)
        assert [message.seq for message in collector.arrivals if message.raw[:2] == b"\x01\x02"][-1] == total
        reading = asyncio.create_task(asyncio.to_thread(stuck.take, lambda seq: seq > total))
        while not reading.done():
            await peer.say(updates[0])
            await peer.sync()
        seen = await reading
        assert seen == sorted(set(seen))
        assert len(seen) < seen[-1] - seen[0] + 1


async def say_slowly(peer: FakePeer, messages: list[bytes], collector: Collector) -> None:
    """In pieces for which a subscriber that reads has room: each is a change of the map too, and ZMQ learns only from
    time to time, half a queue at a time, what has been read.
    """
    for begin in range(0, len(messages), QUEUE // 6):
        piece = messages[begin : begin + QUEUE // 6]
        enough = len(collector.arrivals) + len(piece)
        await peer.say(*piece)
        await collector.until_arrivals(enough)


async def test_large_messages_do_not_fill_the_memory(publisher: GossipdProcess, path: Path) -> None:
    """A queue bounds messages; what is large is bounded by bytes besides."""
    with contextlib.closing(Stuck(path, b"gossip.channel_update")):
        await taken(publisher, 2)
        peer = await publisher.connect(tcp=True)
        before = publisher.fds()
        for first in range(0, 2_500, 50):
            await peer.say(*(update(number, extension=bytes(65_000)) for number in range(first, first + 50)))
            await peer.sync()
        assert publisher.rss() < 160_000_000  # some 110 MB; 210 without the bound
        metrics = await publisher.master.request(control_wire.GetMetrics(), control_wire.GetMetricsReply)
        lost = {labels[0]: count for name, labels, count in metrics.values if name == declared.FEED_LOST.name}
        assert lost["subscribers"] > 1_000
        assert lost["master"] == 0
        publisher.base_fds += publisher.fds() - before  # ZMQ's own, once and for all, for what is sent without a copy
    await taken(publisher, 0)
    with Collector(path, "gossip.channel_update") as collector:
        await taken(publisher, 2)
        while not collector.arrivals:  # it is seen within a second that the other one has gone
            await peer.say(update(extension=bytes(65_000)))
            await peer.sync()


async def example(path: Path) -> asyncio.subprocess.Process:
    """lightningd_py/examples/collect_gossip.py, as a user would start it."""
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLE.parent.parent.parent)}
    return await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    )


async def test_a_killed_subscriber_leaves_nothing(publisher: GossipdProcess, path: Path) -> None:
    with Collector(path, "map.") as collector:
        victim = await example(path)
        try:
            await taken(publisher, 13)
            peer = await publisher.connect()
            await peer.say(announcement())
            assert victim.stdout is not None
            assert b'"outcome": "new"' in await victim.stdout.readline()
        finally:
            victim.kill()
            await victim.communicate()
        await taken(publisher, 6)
        await peer.say(update())
        await collector.until(lambda: len(collector.messages) == 2)


async def test_the_example_ends_with_one_sentence(publisher: GossipdProcess, path: Path) -> None:
    collector = await example(path)
    try:
        await taken(publisher, 7)
        publisher.ends_well()
        _, error = await collector.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            collector.kill()
    assert (collector.returncode, error.decode()) == (1, f"the feed on ipc://{path} has ended\n")
