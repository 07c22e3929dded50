"""The gossip_store and the index over it: opened together by their only writer, and the index saved at the end."""

from pathlib import Path

from gossipd.map import side_index
from gossipd.map.index import MapIndex
from gossipd.store.records import FIRST_RECORD, Buffer
from gossipd.store.writer import GossipStore


def load(path: Path | str) -> tuple[GossipStore, MapIndex]:
    """Open the store for writing and index it, in one pass over the file, or by what `save` has left and none.

    What the pass finds replaced or of no use (a crash can leave both an update and the one it replaces) is marked
    deleted, so the store then holds what the index says. Raises as GossipStore.open does.
    """
    saved: tuple[MapIndex, int] | None = None
    index = MapIndex()

    def walk(data: Buffer, start: int, end: int) -> int:
        nonlocal saved
        if start == FIRST_RECORD:
            saved = side_index.take(Path(path), data)
        return end if saved else index.read_records(data, start, end)

    store = GossipStore.open(path, walk)
    if saved is not None:
        index, store.dead_bytes = saved
        return store, index
    index.drop_lonely_nodes()
    store.dead_bytes = index.passed_over
    for offset in index.dead:
        store.mark_deleted(offset)
    index.dead.clear()
    return store, index


def save(store: GossipStore, index: MapIndex) -> None:
    """Leave the index beside the store for the next `load`, as the last thing before `close`. OSError from the disk."""
    store.flush()
    side_index.write(store.path, store.content(), index, store.dead_bytes)
