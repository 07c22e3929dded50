"""A map taken in with no feed, with a feed that no one takes, and with one subscriber of all of it, both ways."""

from collections.abc import Callable, Iterator
from pathlib import Path

from lightningd_py.tools.feed_client import Feed
from tests.bench.gossipds import Spent, running_gossipd
from tests.bench.harness import Bench, Child, Row
from tests.bench.ingest import PEERS, send
from tests.bench.maps import BenchMap
from tests.gossipd.gossipd_process import GossipdProcess
from wire.bus.feed import topics_of

Take = Callable[[Path, int], int]


def _take(path: Path, messages: int, batches: bool = False) -> int:
    """In a process of its own: take so many messages; how many were lost before that."""
    with Feed(path, batches=batches) as feed:
        for _, _ in zip(range(messages), feed, strict=False):
            pass
        return feed.lost


def in_batches(path: Path, messages: int) -> int:
    """The same in batches."""
    return _take(path, messages, batches=True)


async def taken(gossipd: GossipdProcess) -> None:
    """Wait until a subscriber takes all."""
    while (await gossipd.status())["feed_topics"] != len(topics_of([b""])):
        pass


async def ingest(directory: Path, made: BenchMap, *, feed: bool, take: Take | None) -> tuple[Spent, int]:
    """What it has cost, and how many messages the subscriber has lost."""
    endpoint = f"ipc://{directory}/socket" if feed else ""
    async with running_gossipd(directory, feed=endpoint) as gossipd:
        subscriber = Child(take, directory / "socket", 2 * len(made.messages)) if take else None
        if subscriber is not None:
            await taken(gossipd)
        peers = [await gossipd.connect(tcp=True) for _ in range(PEERS)]
        spent = (await send(gossipd, peers, made, "accepted")).read()
        return spent, subscriber.result() if subscriber is not None else 0


async def measure(bench: Bench) -> Iterator[Row]:
    """Rows of CPU a message in gossipd's process, ZMQ's thread included, and of what the subscriber lost. In turn, and
    the least of two: what is compared differs by less than the noise."""
    each, lost = 1e6 / len(bench.map.messages), 0
    ways: dict[str, tuple[bool, Take | None]] = {
        "none": (False, None),
        "silent": (True, None),
        "singly": (True, _take),
        "batches": (True, in_batches),
    }
    spent: dict[str, list[Spent]] = {name: [] for name in ways}
    for turn in range(2):
        for name, (feed, take) in ways.items():
            found, missing = await ingest(bench.directory / f"{name}{turn}", bench.map, feed=feed, take=take)
            spent[name].append(found)
            lost += missing
    main = {name: min(found.main for found in each_time) * each for name, each_time in spent.items()}
    wall = {name: min(found.wall for found in each_time) for name, each_time in spent.items()}
    unit = "µs CPU/message"
    return iter(
        [
            Row("feed: no one takes it", main["silent"], unit, main["none"], "no feed", "<= 1.02 x"),
            Row(
                "feed: one takes all, in batches", main["batches"], unit, main["silent"], "no one takes it", "<= 1.4 x"
            ),
            Row("feed: one takes all, singly", main["singly"], unit, main["silent"], "no one takes it"),
            Row("feed: wall, all in batches", wall["batches"], "s", wall["silent"], "no one takes it"),
            Row("feed: lost by these", lost, "messages", None, "", "0"),
        ]
    )
