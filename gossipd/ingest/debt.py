"""Gossip that found no room: reduced to what it was about, so that it can be asked for again. Never just lost.

A channel_announcement or channel_update leaves a scid and query_flags, a node_announcement the node_id; the seeker asks
for them when there is room. Bounded; if it overflows, the next comparison with a peer finds what is missing.
"""

import contextlib
import struct
from collections.abc import Callable

from gossipd.map.index import MapIndex
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
    """What is owed. `owe` is the seeker's: scid and query_flags; `overflowed` tells it that more was dropped."""

    def __init__(self, index: MapIndex, owe: Callable[[int, int], None], overflowed: Callable[[], None]) -> None:
        self.count = 0
        """Messages that found no room since the start."""
        self._index = index
        self._owe = owe
        self._overflowed = overflowed
        self.nodes: set[bytes] = set()

    def note(self, message: bytes) -> None:
        """A well-formed gossip message that is not taken in now. What is known already leaves nothing behind."""
        self.count += 1
        number = U16.unpack_from(message)[0]
        if number == CHANNEL_UPDATE:
            self._note_update(message)
        elif number == CHANNEL_ANNOUNCEMENT:
            scid = channel_scid(message)
            if scid not in self._index.channels:
                self._owe(scid, ALL)
        else:
            self._note_node(node_id_of(message))

    def note_unread(self, message: bytes) -> None:
        """The same for one that was not looked at, and may be cut."""
        with contextlib.suppress(struct.error, IndexError):
            self.note(message)

    def note_owed(self, owed: GossipOwed) -> None:
        """What the owner of a connection could not pass on to us."""
        self.count += len(owed.channels) + len(owed.nodes)
        for scid, flags in owed.channels.items():
            self._owe(scid, flags if scid in self._index.channels else ALL)
        for node_id in owed.nodes:
            self._note_node(node_id)
        if owed.overflowed:
            self._overflowed()

    def _note_node(self, node_id: bytes) -> None:
        if len(self.nodes) < MAX_NODES:
            self.nodes.add(node_id)

    def _note_update(self, message: bytes) -> None:
        scid, timestamp, direction = update_scid(message), update_timestamp(message), update_direction(message)
        row = self._index.channels.get(scid)
        if row is None:
            self._owe(scid, ALL)
        elif timestamp > self._index.update_ts[direction][row]:
            self._owe(scid, UPDATE_2 if direction else UPDATE_1)

    def settle_nodes(self) -> None:
        """Turn owed nodes into channels of theirs: queries name channels. One pass over the map."""
        if not self.nodes:
            return
        index = self._index
        rows = {index.nodes[node_id] for node_id in self.nodes if node_id in index.nodes}
        self.nodes.clear()
        for scid, row in index.channels.items():
            for bit, node in ((NODE_1, index.node1[row]), (NODE_2, index.node2[row])):
                if node in rows:
                    rows.discard(node)
                    self._owe(scid, bit)
            if not rows:
                return
