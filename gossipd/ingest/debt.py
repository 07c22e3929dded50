"""Gossip that found no room: reduced to what it was about, so that it can be asked for again. Never just lost.

A channel_announcement or channel_update leaves a scid and query_flags, a node_announcement the node_id; the seeker asks
for them when there is room. Bounded, with a share for each source; if it overflows, the next comparison with a peer
finds what is missing.
"""

import contextlib
import struct
from collections.abc import Callable, Hashable

from gossipd.map.index import MapIndex
from wire.control.shares import Shares
from wire.encoded import ALL, NODE_1, NODE_2, UPDATE_1, UPDATE_2
from wire.gossip_layout import (
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    U16,
    channel_scid,
    node_id_of,
    update_direction,
    update_scid,
    update_timestamp,
)
from wire.net.gossip_fd import GossipOwed

MAX_NODES = 10_000


class Debt:
    """What is owed. `owe` is the seeker's: scid, query_flags and source; `overflowed` tells it that more was dropped.

    `source`: the conn_id from which it came, None if it is not known.
    """

    def __init__(
        self, index: MapIndex, owe: Callable[[int, int, Hashable], None], overflowed: Callable[[], None]
    ) -> None:
        self.count = 0
        """Messages that found no room since the start."""
        self._index = index
        self._owe = owe
        self._overflowed = overflowed
        self.nodes: Shares[bytes, None] = Shares(MAX_NODES)

    def note(self, message: bytes, source: Hashable) -> None:
        """A well-formed gossip message that is not taken in now. What is known already leaves nothing behind."""
        self.count += 1
        number = U16.unpack_from(message)[0]
        if number == CHANNEL_UPDATE:
            self._note_update(message, source)
        elif number == CHANNEL_ANNOUNCEMENT:
            scid = channel_scid(message)
            if scid not in self._index.channels:
                self._owe(scid, ALL, source)
        else:
            self.note_node(node_id_of(message), source)

    def note_unread(self, message: bytes, source: Hashable) -> None:
        """The same for one that was not looked at, and may be cut."""
        with contextlib.suppress(struct.error, IndexError):
            self.note(message, source)

    def note_owed(self, owed: GossipOwed, source: Hashable) -> None:
        """What the owner of a connection could not pass on to us."""
        self.count += len(owed.channels) + len(owed.nodes)
        for scid, flags in owed.channels.items():
            self._owe(scid, flags if scid in self._index.channels else ALL, source)
        for node_id in owed.nodes:
            self.note_node(node_id, source)
        if owed.overflowed:
            self._overflowed()

    def note_node(self, node_id: bytes, source: Hashable) -> None:
        """The node's announcement is to be asked for."""
        if node_id not in self.nodes:
            self.nodes.put(node_id, None, source)

    def _note_update(self, message: bytes, source: Hashable) -> None:
        scid, timestamp, direction = update_scid(message), update_timestamp(message), update_direction(message)
        row = self._index.channels.get(scid)
        if row is None:
            self._owe(scid, ALL, source)
        elif timestamp > self._index.update_ts[direction][row]:
            self._owe(scid, UPDATE_2 if direction else UPDATE_1, source)

    def settle_nodes(self) -> None:
        """Turn owed nodes into channels of theirs: queries name channels. One pass over the map."""
        if not self.nodes:
            return
        index = self._index
        rows = {index.nodes[node_id]: self.nodes.source(node_id) for node_id in self.nodes if node_id in index.nodes}
        self.nodes.clear()
        for scid, row in index.channels.items():
            for bit, node in ((NODE_1, index.node1[row]), (NODE_2, index.node2[row])):
                if node in rows:
                    self._owe(scid, bit, rows.pop(node))
            if not rows:
                return
