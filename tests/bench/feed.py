"""A map taken in with no feed, with a feed that nobody takes, and with one subscriber who takes all of it."""

from collections.abc import Iterator
from pathlib import Path

from lightningd_py.tools.feed_client import Feed
from tests.bench.gossipds import Spent, running_gossipd
from tests.bench.harness import Bench, Child, Row
from tests.bench.ingest import PEERS, send
from tests.gossipd.gossipd_process import GossipdProcess
from wire.bus.feed import topics_of


def _take(path: Path, messages: int) -> int:
    """In a process of its own: take so many messages; how many were lost before that."""
    with Feed(path) as feed:
        for _, _ in zip(range(messages), feed, strict=False):
            pass
        return feed.lost


async def _taken(gossipd: GossipdProcess) -> None:
    while (await gossipd.status())["feed_topics"] != len(topics_of([b""])):
        pass


async def _ingest(bench: Bench, name: str, *, feed: bool, subscribed: bool) -> tuple[Spent, int]:
    """What it has cost, and how many messages the subscriber has lost."""
    directory = bench.directory / name
    endpoint = f"ipc://{directory}/socket" if feed else ""
    async with running_gossipd(directory, feed=endpoint) as gossipd:
        subscriber = Child(_take, directory / "socket", 2 * len(bench.map.messages)) if subscribed else None
        if subscriber is not None:
            await _taken(gossipd)
        peers = [await gossipd.connect(tcp=True) for _ in range(PEERS)]
        spent = (await send(gossipd, peers, bench, "accepted")).read()
        return spent, subscriber.result() if subscriber is not None else 0


async def measure(bench: Bench) -> Iterator[Row]:
    """Rows of CPU a message in gossipd's process, ZMQ's thread included, and of what the subscriber lost."""
    each = 1e6 / len(bench.map.messages)
    none, _ = await _ingest(bench, "none", feed=False, subscribed=False)
    silent, _ = await _ingest(bench, "silent", feed=True, subscribed=False)
    taken, lost = await _ingest(bench, "taken", feed=True, subscribed=True)
    unit = "µs CPU/message"
    return iter(
        [
            Row("feed: nobody takes it", silent.main * each, unit, none.main * each, "no feed", "<= 1.02 x"),
            Row("feed: one takes all of it", taken.main * each, unit, silent.main * each, "nobody takes it"),
            Row("feed: wall, one takes all of it", taken.wall, "s", silent.wall, "nobody takes it"),
            Row("feed: lost by that one", lost, "messages", None, "", "0"),
        ]
    )
