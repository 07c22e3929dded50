"""gossmap: the map of the network out of a gossip_store, for any program that wants to read it; ours or CLN's.

    with Gossmap("gossip_store") as gossmap:
        for node in gossmap.nodes():
            print(node.node_id.hex(), node.alias, node.channel_count)
        while True:
            gossmap.refresh()   # follows the daemon that writes the file

The library only reads, needs no daemon, and checks each record's CRC. gossipd itself has map/loading.py.
"""

import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from gossipd.map.index import MapIndex
from gossipd.map.views import Channel, Direction, Node, message_at
from gossipd.store.file import NEWEST_READ, StoreError
from gossipd.store.records import FIRST_RECORD, OLDEST_VERSION, SMALLEST_RECORD, Buffer, walk_over
from gossipd.store.upgrade import completed_mask, dead_mask, shortest_update

__all__ = ["Channel", "Direction", "Gossmap", "MapIndex", "Node", "StoreError"]


def open_to_read(path: Path) -> int:
    """An fd. Raises OSError."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


class Gossmap:
    """The map in a gossip_store of versions 9 to 16, as of the last `refresh`.

    The objects it gives out stay as they are when the map goes on. `index` is public, for those who need to be faster
    than objects are. Not for several threads at once.
    """

    index: MapIndex

    def __init__(self, path: Path | str, opener: Callable[[Path], int] = open_to_read) -> None:
        """Read the file. Raises OSError, and StoreError if it is no gossip_store of a version known here.

        `opener` gives an fd of what lies at the path now, which is the map's: for a process that may not open it.
        """
        self.path = Path(path)
        self._opener = opener
        self._fd = -1
        if not self._open():
            raise StoreError(f"{self.path} is empty.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back. Objects that were given out keep their own hold on what they show."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def refresh(self) -> bool:
        """Take in what was written since. Returns whether the map may have changed.

        When the file was replaced (compaction, or a new store) the new one is read from its beginning; while there is
        none, the map stays as it is. Raises OSError, and StoreError if the new file cannot be read, or if ours was
        cut and no other is there yet: the objects given out raise it, too.
        """
        is_cut = os.fstat(self._fd).st_size < self._end
        changed = not is_cut and self._follow()
        if self._is_replaced():
            return self._open() or changed
        if is_cut:
            raise StoreError(f"{self.path} was cut to {os.fstat(self._fd).st_size} bytes while it was read.")
        return changed

    def channel(self, short_channel_id: int) -> Channel | None:
        """The channel, or None if it is not on the map."""
        row = self.index.channels.get(short_channel_id)
        return None if row is None else self._channel_at(row)

    def channels(self) -> Iterator[Channel]:
        """Every channel. Do not refresh before the last one is taken."""
        return map(self._channel_at, self.index.channels.values())

    def channels_of(self, node_id: bytes) -> Iterator[Channel]:
        """The channels of one node, none if it is not on the map."""
        row = self.index.nodes.get(node_id)
        return map(self._channel_at, [] if row is None else self.index.rows_of_node(row))

    def node(self, node_id: bytes) -> Node | None:
        """The node, or None if no channel of it is on the map. `node_id`: 33 bytes."""
        row = self.index.nodes.get(node_id)
        return None if row is None else self._node_at(row)

    def nodes(self) -> Iterator[Node]:
        """Every node that has a channel. Do not refresh before the last one is taken."""
        return map(self._node_at, self.index.nodes.values())

    def _channel_at(self, row: int) -> Channel:
        index = self.index
        scid, amount = index.scid[row], index.amount_sat[row]
        node_ids = (index.node_ids[index.node1[row]], index.node_ids[index.node2[row]])
        offsets = (index.announce_off[row], index.update_off[0][row], index.update_off[1][row])
        dying = index.dying.get(scid)
        return Channel(self._map, scid, node_ids, offsets, None if amount < 0 else amount, dying and dying[0])

    def _node_at(self, row: int) -> Node:
        offset = self.index.node_announce_off[row]
        announcement = message_at(self._map, offset) if offset else b""
        return Node(self.index.node_ids[row], announcement, self.index.node_channels[row])

    def _open(self) -> bool:
        """Start over with the file that is at the path now; False if it is empty or is the one that we have."""
        try:
            fd = self._opener(self.path)
        except FileNotFoundError:
            if self._fd < 0:
                raise
            return False
        first = os.pread(fd, 1, 0)
        if not first or (self._fd >= 0 and os.path.samestat(os.fstat(fd), os.fstat(self._fd))):
            os.close(fd)
            return False
        if not OLDEST_VERSION <= first[0] <= NEWEST_READ:
            os.close(fd)
            raise StoreError(f"{self.path} is no gossip_store that can be read (version byte {first[0]}).")
        self.close()
        self._fd = fd
        self._completed = completed_mask(first[0])
        self.index = MapIndex(
            completed=self._completed, dead_flags=dead_mask(first[0]), shortest_update=shortest_update(first[0])
        )
        self._map: Buffer = first
        self._end = FIRST_RECORD
        self._suspect = 0
        while self._follow():
            pass
        return True

    def _follow(self) -> bool:
        """Take in what this file has more than at the last time.

        A record that looks damaged may be one whose header is being changed at this moment: only when it is found so
        a second time is it jumped over.
        """
        size = os.fstat(self._fd).st_size
        if size - self._end < SMALLEST_RECORD:
            return False
        if size != len(self._map):
            self._map = mmap.mmap(self._fd, size, access=mmap.ACCESS_READ)
        read = self.index.read_records
        end = read(self._map, self._end, size)
        if end == self._suspect and not self.index.ended:
            end = walk_over(self._map, end, size, read, self._completed, settled=False).end
        suspect = end if size - end >= SMALLEST_RECORD else 0
        changed = (end, suspect) != (self._end, self._suspect)
        self._end, self._suspect = end, suspect
        self.index.drop_lonely_nodes()
        self.index.dead.clear()
        return changed

    def _is_replaced(self) -> bool:
        if self.index.ended:
            return True
        try:
            return not os.path.samestat(self.path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False
