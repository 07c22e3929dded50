"""Which gossip to ask a peer for.

The first peers that are worth asking are asked for all they have, so that no single one decides what we know; further
ones only for what is new from now on. BOLT 7, The gossip_timestamp_filter Message.
"""

from wire.features import Features
from wire.peer_wire import GossipTimestampFilter

FULL_SYNCS = 3
"""Peers that are asked for everything, in the life of one gossipd."""

EVERYTHING = (0, 0xFFFFFFFF)
NOTHING = (0xFFFFFFFF, 0)


class Seeker:
    """Decides on the filter for each new peer."""

    def __init__(self, chain_hash: bytes) -> None:
        self._chain_hash = chain_hash
        self._full_syncs = 0

    def filter_for(self, features: bytes, now: float) -> GossipTimestampFilter:
        """The filter to send to a peer with these features; B7-99 for one that does not offer gossip_queries."""
        if not Features(features).offers("gossip_queries"):
            first, timestamp_range = NOTHING
        elif self._full_syncs < FULL_SYNCS:
            self._full_syncs += 1
            first, timestamp_range = EVERYTHING
        else:
            first, timestamp_range = int(now), 0xFFFFFFFF
        return GossipTimestampFilter(self._chain_hash, first, timestamp_range)
