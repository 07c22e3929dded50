"""gossmap: the index over a gossip_store."""

from pathlib import Path

from gossipd.map_index import MapIndex
from gossipd.store import GossipStore

__all__ = ["MapIndex", "load"]


def load(path: Path | str) -> tuple[GossipStore, MapIndex]:
    """Open the store for writing and index it, in one pass over the file. Raises as GossipStore.open does.

    What the pass finds replaced or of no use (a crash can leave both an update and the one it replaces) is marked
    deleted, so the store then holds what the index says.
    """
    index = MapIndex()
    store = GossipStore.open(path, index.read_records)
    index.drop_lonely_nodes()
    for offset in index.dead:
        store.mark_deleted(offset)
    index.dead.clear()
    return store, index
