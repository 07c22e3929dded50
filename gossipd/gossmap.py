"""gossmap: the map of the network out of a gossip_store, for any program that wants to read it; ours or CLN's.

    with Gossmap("gossip_store") as gossmap:
        for node in gossmap.nodes():
            print(node.node_id.hex(), node.alias, node.channel_count)
        while True:
            gossmap.refresh()   # follows the daemon that writes the file

The library only reads, needs no daemon, and checks each record's CRC. Nothing is mapped: a file that is cut, written
over or replaced from outside, at whatever moment, is a StoreError at most. gossipd itself has map/loading.py.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from gossipd.map.index import MapIndex
from gossipd.map.views import Channel, Direction, Node
from gossipd.store.file import NEWEST_READ, StoreError
from gossipd.store.read_only import Ahead, StoreFile
from gossipd.store.records import FIRST_RECORD, OLDEST_VERSION, SMALLEST_RECORD, walk_over
from gossipd.store.upgrade import completed_mask, dead_mask, shortest_update
from wire.gossip_layout import NODE_ANNOUNCEMENT, node_id_of

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
    _beginning: bytes
    _end: int

    def __init__(self, path: Path | str, opener: Callable[[Path], int] = open_to_read) -> None:
        """Read the file. Raises OSError, and StoreError if it is no gossip_store of a version known here.

        `opener` gives an fd of what lies at the path now, which is the map's: for a process that may not open it.
        """
        self.path = Path(path)
        self._opener = opener
        self._file: StoreFile | None = None
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
        self._file = None

    def refresh(self) -> bool:
        """Take in what was written since. Returns whether the map may have changed.

        When the file was replaced (compaction, or a new store), or written over, it is read from its beginning; while
        there is none, the map stays as it is. Raises OSError, and StoreError if the new file cannot be read, or if ours
        was cut and no other is there yet: the objects given out raise it, too.
        """
        file = self._opened
        if self._is_replaced(file):
            return self._open()
        if (size := file.size) < self._end:
            raise file.damage(self._end)
        before, self._beginning = self._beginning, file.beginning()
        if file.is_damaged or not self._beginning.startswith(before):
            return self._open(again=True)
        changed = self._follow(file, size)
        return self._open() or changed if self.index.ended else changed

    def channel(self, short_channel_id: int) -> Channel | None:
        """The channel, or None if it is not on the map."""
        row = self.index.channels.get(short_channel_id)
        return None if row is None else self._channel_at(row)

    def channels_at(self, short_channel_ids: Sequence[int]) -> list[Channel]:
        """Those of these that are on the map: their records are read together, where they lie close together."""
        index = self.index
        rows = [row for each in short_channel_ids if (row := index.channels.get(each)) is not None]
        columns = (index.announce_off, *index.update_off)
        offsets = [offset for row in rows for column in columns if (offset := column[row])]
        file = self._opened.ahead(offsets) if offsets else None
        return [self._channel_at(row, file) for row in rows]

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

    @property
    def _opened(self) -> StoreFile:
        """Raises StoreError after `close`."""
        if self._file is None:
            raise StoreError(f"{self.path} was given back.")
        return self._file

    def _channel_at(self, row: int, file: StoreFile | Ahead | None = None) -> Channel:
        index = self.index
        scid, amount = index.scid[row], index.amount_sat[row]
        node_ids = (index.node_ids[index.node1[row]], index.node_ids[index.node2[row]])
        offsets = (index.announce_off[row], index.update_off[0][row], index.update_off[1][row])
        dying = index.dying.get(scid)
        return Channel(
            file or self._opened, scid, node_ids, offsets, None if amount < 0 else amount, dying and dying[0]
        )

    def _node_at(self, row: int) -> Node:
        offset, node_id = self.index.node_announce_off[row], self.index.node_ids[row]
        announcement = self._opened.message(offset, NODE_ANNOUNCEMENT, node_id_of, node_id) if offset else b""
        return Node(node_id, announcement, self.index.node_channels[row])

    def _open(self, *, again: bool = False) -> bool:
        """Start over with the file that is at the path now; False if it is empty or, but for `again`, the one that we
        have.
        """
        try:
            fd = self._opener(self.path)
        except FileNotFoundError:
            if self._file is None:
                raise
            return False
        file = StoreFile(self.path, fd)
        beginning = file.beginning()
        if not beginning or (self._file is not None and self._file.is_file(fd) and not again):
            return False
        if not OLDEST_VERSION <= beginning[0] <= NEWEST_READ:
            raise StoreError(f"{self.path} is no gossip_store that can be read (version byte {beginning[0]}).")
        self._file = file
        self._beginning = beginning
        self._completed = completed_mask(beginning[0])
        self.index = MapIndex(
            completed=self._completed,
            dead_flags=dead_mask(beginning[0]),
            shortest_update=shortest_update(beginning[0]),
        )
        self._end = FIRST_RECORD
        self._suspect = 0
        while self._follow(file, file.size):
            pass
        return True

    def _follow(self, file: StoreFile, size: int) -> bool:
        """Take in what this file, of that size, has more than at the last time.

        A record that looks damaged may be one whose header is being changed at this moment: only when it is found so
        a second time is it jumped over.
        """
        if size - self._end < SMALLEST_RECORD:
            return False
        read = self.index.read_records
        data, size = file.content(self._end, size)
        end = read(data, self._end, size)
        if end == self._suspect and not self.index.ended:
            end = walk_over(data, end, size, read, self._completed, settled=False).end
        suspect = end if size - end >= SMALLEST_RECORD else 0
        changed = (end, suspect) != (self._end, self._suspect)
        self._end, self._suspect = end, suspect
        self.index.drop_lonely_nodes()
        self.index.dead.clear()
        return changed

    def _is_replaced(self, file: StoreFile) -> bool:
        try:
            return not file.is_at(self.path)
        except FileNotFoundError:
            return False
