"""A subscriber of a feed that takes all it gets, in a thread of its own."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from gossipd.gossmap import Gossmap
from lightningd_py.tools.feed_client import Feed, Keys
from tests.harness.waiting import until
from wire.bus.feed import FeedError, FeedMessage, Gossip, MapChannel, MapNode, MapUpdate

PATIENCE = 60.0
_LOOK = 0.05
"""Seconds after which the thread looks whether it is to end."""


class Collector:
    """`messages` has what came, in order. Raises FeedError if there is no feed."""

    def __init__(self, where: Path | str, *topics: str, keys: Keys | None = None, batches: bool = False) -> None:
        self.messages: list[FeedMessage] = []
        self.ended = False
        """The publisher has gone."""
        self.feed = Feed(where, topics or ("",), keys=keys, batches=batches)
        self._closing = False
        self._grown = threading.Condition()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()

    def _take(self) -> None:
        try:
            while not self._closing:
                message = self.feed.next(_LOOK)
                with self._grown:
                    self.messages += [message] if message else []
                    self._grown.notify_all()
        except FeedError:
            with self._grown:
                self.ended = True
                self._grown.notify_all()

    @property
    def arrivals(self) -> list[Gossip]:
        """The gossip among the messages."""
        return [message for message in self.messages if isinstance(message, Gossip)]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until this is so; it is looked at with each message."""
        assert await asyncio.to_thread(self._wait, condition), f"{len(self.messages)} messages have come"

    async def until_arrivals(self, count: int) -> None:
        """Wait until exactly so many messages of gossip have come."""
        await self.until(lambda: len(self.arrivals) == count)

    def _wait(self, condition: Callable[[], object]) -> object:
        with self._grown:
            return self._grown.wait_for(condition, PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._thread.join()
        self.feed.close()


def kept(collector: Collector) -> Counter[bytes]:
    """The map as a collector that begins with an empty one has it: the last record of each place."""
    places: dict[object, bytes] = {}
    for message in collector.messages:
        match message:
            case MapChannel(short_channel_id=scid, raw=raw):
                places[scid] = raw
            case MapUpdate(short_channel_id=scid, direction=direction, raw=raw):
                places[scid, direction] = raw
            case MapNode(node_id=node_id, raw=raw):
                places[node_id] = raw
    return Counter(places.values())


async def is_on_disk(collector: Collector, store: Path) -> None:
    """Wait until the map of this store is what the collector has: a record is told, and written a moment later."""

    async def same() -> bool:
        return kept(collector) == on_disk(store)

    await until(same, "the store and the collector differ", PATIENCE)


def on_disk(path: Path) -> Counter[bytes]:
    """Every raw message of the map."""
    with Gossmap(path) as gossmap:
        found = Counter(node.announcement for node in gossmap.nodes() if node.announcement)
        for channel in gossmap.channels():
            directions = [channel.direction(number) for number in (0, 1)]
            found.update([channel.announcement, *(direction.raw for direction in directions if direction)])
    return found
