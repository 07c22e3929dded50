"""Which of the map is our own. BOLT 7.

Our own goes to each new peer whatever its filter says, and to all as soon as it is made (B7-97): the announcements of
our channels, our direction's updates, and our node_announcement. A channel of which we have said nothing yet waits for
our first update, and our node_announcement for the first such channel (B7-98).
"""

from collections.abc import Iterator
from itertools import islice

from gossipd.map.around import Around
from gossipd.map.index import MapIndex
from gossipd.store.writer import GossipStore


class OwnGossip:
    """Which gossip is our own. The map's writer says what it has written."""

    def __init__(self, node_id: bytes, store: GossipStore, index: MapIndex, around: Around) -> None:
        """`node_id`: ours."""
        self.node_id = node_id
        self.store = store
        self.index = index
        self._around = around
        row = index.nodes.get(node_id)
        rows = [] if row is None else index.rows_of_node(row)
        self._scids = {index.scid[row] for row in rows}

    def public_rows(self) -> Iterator[int]:
        """The rows of our channels that are not dying."""
        for scid in tuple(self._scids):
            row = self.index.channels.get(scid)
            if row is None:
                self._scids.discard(scid)
            elif scid not in self.index.dying:
                yield row

    def messages(self) -> Iterator[bytes]:
        """All of our own, for a new peer: read as it is taken, so that it costs no memory."""
        index, store = self.index, self.store
        row = -1
        for row in self._said_rows():
            for offset in (index.announce_off[row], index.update_off[self._direction(row)][row]):
                if (message := store.serve(offset)) is not None:
                    yield message
        if row >= 0:
            yield from self._node_announcement()

    def _said_rows(self) -> Iterator[int]:
        """The rows of our channels that peers are told of by us: those of which we have said an update."""
        return (row for row in self.public_rows() if self.index.update_off[self._direction(row)][row])

    def _node_announcement(self) -> list[bytes]:
        node = self.index.nodes.get(self.node_id)
        offset = 0 if node is None else self.index.node_announce_off[node]
        message = self.store.serve(offset) if offset else None
        return [] if message is None else [message]

    def withdraw_node(self, row: int) -> None:
        """Take our node_announcement from the map, so that one with a lower timestamp can follow."""
        if offset := self.index.set_node_announcement(row, 0, 0):
            self.store.mark_deleted(offset)

    def _direction(self, row: int) -> int:
        return int(self.index.node_ids[self.index.node2[row]] == self.node_id)

    # what is written

    def channel_written(self, scid: int) -> None:
        """A channel of ours was announced."""
        self._scids.add(scid)

    def update_written(self, row: int, message: bytes, *, is_first: bool) -> None:
        """Our direction of a channel was updated; `is_first`: nothing was known of it."""
        index = self.index
        if index.scid[row] in index.dying:
            return
        if not is_first:
            self._around.say_own([message])
            return
        first_of_all = list(islice(self._said_rows(), 2)) == [row]
        node = self._node_announcement() if first_of_all else []  # it has waited for a channel (B7-98)
        announcement = self.store.read(index.announce_off[row])
        self._around.say_own([announcement, message, *node] if announcement else [])

    def node_written(self, message: bytes) -> None:
        """We were announced."""
        if any(True for _ in self._said_rows()):
            self._around.say_own([message])
