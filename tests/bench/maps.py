"""The map that the benchmarks work with: made once, kept in the user's cache for some hours, as timestamps age."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import Edge, SyntheticMap, random_edges, read_topology
from wire.gossip_layout import CHANNEL_ANNOUNCEMENT, CHANNEL_UPDATE, GOSSIP_TYPES, NODE_ANNOUNCEMENT

FRESH = 21_600
"""Seconds for which a map is used; synthetic_map leaves twice as much before anything in it is stale."""
FRAME = 34
QUICK, FULL_WITHOUT_TOPOLOGY = (2_000, 600), (20_000, 6_000)
"""(channels, nodes)"""


@dataclass(frozen=True)
class BenchMap:
    """A gossip_store and its messages."""

    path: Path

    @classmethod
    def make(cls, quick: bool, topology: Path | None) -> Self:
        """From the cache, or signed now: some 20 seconds for the public network's topology."""
        if topology is not None:
            return cls._cached(topology.name.partition(".")[0], lambda: read_topology(topology))
        return cls.of_size(*(QUICK if quick else FULL_WITHOUT_TOPOLOGY))

    @classmethod
    def of_size(cls, channels: int, nodes: int) -> Self:
        """Random channels; from the cache, or signed now."""
        return cls._cached(f"{channels}-{nodes}", lambda: random_edges(1, channels, nodes))

    @classmethod
    def _cached(cls, name: str, edges: Callable[[], list[Edge]]) -> Self:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightningd-py"
        cache.mkdir(parents=True, exist_ok=True)
        now = int(time.time()) // FRESH * FRESH
        path = cache / f"bench-map-{name}-{now}"
        if not path.exists():
            for old in cache.glob(f"bench-map-{name}-*"):
                old.unlink()
            store = GossipStore.open(path.with_suffix(".tmp"))
            SyntheticMap(edges(), 1, now).write_store(store, os.cpu_count() or 1)
            store.close()
            path.with_suffix(".tmp").rename(path)
        return cls(path)

    @cached_property
    def _records(self) -> list[tuple[int, bytes]]:
        """(type, message) of everything that goes over the wire."""
        store = GossipStore.open(self.path)
        records, _ = store.scan(1, store.end)
        store.close()
        return [(kind, message) for _, _, kind, message, _ in records if kind in GOSSIP_TYPES]

    @cached_property
    def channels(self) -> list[list[bytes]]:
        """An announcement with the updates that follow it, for each channel."""
        channels: list[list[bytes]] = []
        for kind, message in self._records:
            if kind == CHANNEL_ANNOUNCEMENT:
                channels.append([message])
            elif kind == CHANNEL_UPDATE:
                channels[-1].append(message)
        return channels

    @cached_property
    def nodes(self) -> list[bytes]:
        """The node_announcements."""
        return [message for kind, message in self._records if kind == NODE_ANNOUNCEMENT]

    @cached_property
    def messages(self) -> list[bytes]:
        """All, in the order of the store."""
        return [message for _, message in self._records]

    @cached_property
    def wire_size(self) -> int:
        """Bytes of all messages as frames."""
        return sum(map(len, self.messages)) + FRAME * len(self.messages)

    def share(self, number: int, of: int) -> list[bytes]:
        """What one of several peers sends: every so manyth channel, then every so manyth node."""
        return [message for channel in self.channels[number::of] for message in channel] + self.nodes[number::of]
