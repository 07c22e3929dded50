"""The gossip_store and the index over it: opened together by their only writer, and the index saved at the end."""

from pathlib import Path

from gossipd.map import side_index
from gossipd.map.index import MapIndex
from gossipd.store.records import (
    COMPLETED,
    DELETE_CHANNEL,
    DELETED,
    FIRST_RECORD,
    HEADER_AND_TYPE,
    HEADER_SIZE,
    SMALLEST_RECORD,
    Buffer,
    crc_of,
    uuid_of,
)
from gossipd.store.windows import WINDOW
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
            saved = side_index.take(Path(path), lambda: side_index.seal(uuid_of(data), [data]))
        return end if saved else index.read_records(data, start, end)

    store = GossipStore.open(path, walk)
    if saved is not None:
        index, store.dead_bytes = saved
        index.sorted_scids()  # once, before anybody waits for it
        return store, index
    index.drop_lonely_nodes()
    store.dead_bytes = index.passed_over
    for offset in index.dead:
        store.mark_deleted(offset)
    index.dead.clear()
    index.sorted_scids()
    return store, index


def save(store: GossipStore, index: MapIndex) -> bool:
    """Leave the index beside the store for the next `load`, as the last thing before `close`. OSError from the disk.

    What is damaged is not sealed: then no index is left, and the next start reads the store. Returns False.
    """
    store.flush()
    if not _is_as_written(store):
        return False
    seal = side_index.seal(store.uuid, store.chunks())
    side_index.write(store.path, seal, index, store.dead_bytes)
    return True


def _is_as_written(store: GossipStore) -> bool:
    """Whether each record has its CRC, and as much is marked deleted as we have marked."""
    offset, dead = FIRST_RECORD, 0
    while offset < store.end:
        data, at = store.window(offset, WINDOW), 0
        while len(data) - at >= SMALLEST_RECORD:
            flags, length, crc, timestamp, kind = HEADER_AND_TYPE.unpack_from(data, at)
            following = at + HEADER_SIZE + length
            if following > len(data) and at:
                break  # the next window has the whole of it
            if following > len(data) or not flags & COMPLETED:
                return False
            if flags & DELETED or kind == DELETE_CHANNEL:
                dead += following - at
            if not flags & DELETED and crc_of(timestamp, data[at + HEADER_SIZE : following]) != crc:
                return False
            at = following
        if not at:
            return False
        offset += at
    return dead == store.dead_bytes
