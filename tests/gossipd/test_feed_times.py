"""`time_ns` of an arrival is when the kernel had it, however busy gossipd is: compared with the senders' own clock."""

import asyncio
import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gossipd.gossipd_process import FakePeer, GossipdProcess, GossipdProcesses, peer_info
from tests.gossipd.messages import announcement, big_map, update
from tests.harness.collector import Collector
from wire.bus.feed import Gossip
from wire.control.limits import Limits

SLACK = 1_000_000
"""Nanoseconds between a send and its stamp. On loopback the kernel takes some 30 µs."""
WORDS = 30
"""Messages that a second peer says while the first one's map is taken in."""


@pytest.fixture
async def publisher(gossipds: GossipdProcesses, tmp_path: Path) -> GossipdProcess:
    gossipd = gossipds.new()
    await gossipd.start(feed=f"ipc://{tmp_path}/feed", feed_needed=True, limits=Limits(read_rate=0))
    return gossipd


async def listening(gossipd: GossipdProcess, topics: int = 7) -> None:
    while (await gossipd.status())["feed_topics"] != topics:
        pass


def says(peer: FakePeer, message: bytes) -> tuple[int, int]:
    """Send it now: unix nanoseconds before and after."""
    frame = peer.encrypt(message)
    before = time.time_ns()
    peer.sock.sendall(frame)
    return before, time.time_ns()


@contextlib.contextmanager
def stopped(gossipd: GossipdProcess) -> Iterator[None]:
    """Nothing is read meanwhile, and for so long afterwards that a stamp of the read would be too late."""
    gossipd.process.send_signal(signal.SIGSTOP)
    yield
    until = time.time_ns() + 3 * SLACK
    while time.time_ns() < until:
        pass
    gossipd.process.send_signal(signal.SIGCONT)


def of(collector: Collector, conn_id: int) -> list[Gossip]:
    return [message for message in collector.arrivals if message.conn_id == conn_id]


async def until_heard_from(collector: Collector, conn_id: int, count: int) -> None:
    """Wait until so many messages of this connection have come."""
    await collector.until(lambda: len(of(collector, conn_id)) == count)


@pytest.mark.long
async def test_stamp_to_send_within_a_millisecond_while_a_first_sync_runs(
    publisher: GossipdProcess, tmp_path: Path
) -> None:
    """Thousands of messages wait in the pipeline. Where one that tells news is heard in between, and when, is the
    pipeline's business; its time is not."""
    with Collector(tmp_path / "feed", "gossip.") as collector:
        await listening(publisher)
        streamer = await publisher.connect(tcp=True, address="198.51.100.1:9735")
        tellers = [await publisher.connect(tcp=True, address=f"203.0.113.{n}:9735") for n in (1, 2)]
        good = big_map(2_000, 300)
        sync = asyncio.create_task(streamer.say(*good))
        sent: list[tuple[int, int, int]] = []
        for number in range(WORDS):
            teller = tellers[number % 2]
            sent.append((*says(teller, announcement(10_000 + number)), teller.conn_id))
            await until_heard_from(collector, teller.conn_id, number // 2 + 1)
        midst = len(of(collector, streamer.conn_id))
        await sync
        await publisher.settled_at("accepted", len(good) + WORDS)
        await collector.until_arrivals(len(good) + WORDS)
        assert midst, "nothing was taken in between"
        told = sorted((m for m in collector.arrivals if m.conn_id != streamer.conn_id), key=lambda m: m.time_ns)
        assert [message.conn_id for message in told] == [conn_id for *_, conn_id in sent], (
            "the order is that of sending"
        )
        late = [message.time_ns - after for message, (_, after, _) in zip(told, sent, strict=True)]
        early = [before - message.time_ns for message, (before, _, _) in zip(told, sent, strict=True)]
        assert max(early) <= 0
        assert sorted(late)[-3] <= SLACK, "but for two: on a busy machine the kernel itself may deliver late"


async def test_what_waits_in_the_socket_has_the_time_of_its_arrival(publisher: GossipdProcess, tmp_path: Path) -> None:
    """gossipd stands still when it comes."""
    with Collector(tmp_path / "feed", "gossip.") as collector:
        await listening(publisher)
        peer = await publisher.connect(tcp=True)
        await peer.sync()
        with stopped(publisher):
            before, after = says(peer, announcement())
        await collector.until(lambda: collector.arrivals)
        (said,) = collector.arrivals
        assert before <= said.time_ns <= after + SLACK


async def test_through_a_gossip_fd_it_is_when_the_owner_wrote_it(publisher: GossipdProcess, tmp_path: Path) -> None:
    with Collector(tmp_path / "feed", "gossip.") as collector:
        await listening(publisher)
        owner = await publisher.connect_elsewhere(41)
        owner.send(b"\0\0")
        await publisher.status()
        with stopped(publisher):
            before = time.time_ns()
            owner.send(announcement())
            after = time.time_ns()
        await collector.until(lambda: collector.arrivals)
        (said,) = collector.arrivals
        assert before <= said.time_ns <= after + SLACK


async def test_a_connection_that_comes_while_somebody_listens_is_stamped_too(
    publisher: GossipdProcess, tmp_path: Path
) -> None:
    """And one that was there before; when the last subscriber has gone, and another one comes, both are as before."""
    old = await publisher.connect(tcp=True)
    await old.sync()
    for round_ in range(2):
        with Collector(tmp_path / "feed", "gossip.") as collector:
            await listening(publisher)
            new = await publisher.connect(tcp=True)
            times = [says(peer, update(7, round_)) for peer in (old, new)]
            await collector.until_arrivals(2)
            said = {message.conn_id: message.time_ns for message in collector.arrivals}
            for peer, (before, after) in zip((old, new), times, strict=True):
                assert before <= said[peer.conn_id] <= after + SLACK
        await listening(publisher, 0)


@pytest.mark.parametrize("looked", [True, False], ids=["the last owner has looked", "it has not, or is ahead"])
async def test_what_was_read_before_a_hand_over(publisher: GossipdProcess, tmp_path: Path, looked: bool) -> None:
    """Has the time that its last owner says, else that of the hand-over."""
    with Collector(tmp_path / "feed", "gossip.") as collector:
        await listening(publisher)
        peer, fd, state = publisher.connection(tcp=True)
        state.unread = peer.encrypt(announcement())
        before = time.time_ns()
        state.read_at_ns = before - 10**9 if looked else before + 10**12 * (peer.conn_id % 2)
        await publisher.hand_over(peer_info(peer.conn_id), fd, state)
        await collector.until(lambda: collector.arrivals)
        at = collector.arrivals[0].time_ns
        assert at == state.read_at_ns if looked else before <= at <= time.time_ns()
