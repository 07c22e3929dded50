"""Which of the map is our own. BOLT 7.

Our own goes to each new peer whatever its filter says, and to all as soon as it is made (B7-97): the announcements of
our channels, our direction's updates, and our node_announcement. A channel of which we have said nothing yet waits for
our first update.
"""

from collections.abc import Iterator

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
        for row in self.public_rows():
            offset = index.update_off[self._direction(row)][row]
            if offset:
                yield store.read(index.announce_off[row])
                yield store.read(offset)
        node = index.nodes.get(self.node_id)
        if node is not None and index.node_announce_off[node] and any(True for _ in self.public_rows()):
            yield store.read(index.node_announce_off[node])

    def _direction(self, row: int) -> int:
        return int(self.index.node_ids[self.index.node2[row]] == self.node_id)

    # what is written

    def channel_written(self, scid: int, node_ids: tuple[bytes, bytes]) -> None:
        """A channel was announced."""
        if self.node_id in node_ids:
            self._scids.add(scid)

    def update_written(self, row: int, direction: int, message: bytes, *, is_first: bool) -> None:
        """One direction of a channel was updated; `is_first`: nothing was known of it."""
        index = self.index
        if index.node_ids[(index.node2 if direction else index.node1)[row]] != self.node_id:
            return
        if index.scid[row] not in index.dying:
            self._around.say_own([self.store.read(index.announce_off[row]), message] if is_first else [message])

    def node_written(self, row: int, message: bytes) -> None:
        """A node was announced."""
        if self.index.node_ids[row] == self.node_id:
            self._around.say_own([message])
