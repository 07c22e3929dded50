"""A small, validly signed map for tests of whole nodes."""

import time
from pathlib import Path

from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges

CHANNELS, NODES = 60, 25


def make_small_map() -> SyntheticMap:
    """Of that size, always the same but for its timestamps, which are of today."""
    return SyntheticMap(random_edges(1, CHANNELS, NODES), seed=1, now=int(time.time()))


def write_small_map(small_map: SyntheticMap, path: Path) -> Path:
    """The map as a gossip_store."""
    store = GossipStore.open(path)
    small_map.write_store(store)
    store.close()
    return path
