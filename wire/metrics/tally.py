"""What an owner of connections counts of all of them: bytes, messages, pings, and how connections end.

Messages of the map are many: an owner that serves them counts them by batches (`said_gossip`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter

from wire.gossip_layout import GOSSIP_TYPES
from wire.metrics.declared import ONIONS_DROPPED, PEER_BYTES, PEER_ENDS, PEER_MESSAGES, PING_SECONDS
from wire.metrics.metric import Histogram, Samples
from wire.peer_types import message_name, named

OTHER = "other"
"""The type of a message that no BOLT has."""
_MAP = tuple((number & 0xFF, message_name(number)) for number in sorted(GOSSIP_TYPES))
"""What most of it is: 256 to 258."""
_low_byte = itemgetter(1)

ENDS = {
    "it does not answer pings": "silent",
    "it does not take what is sent to it": "slow_reader",
    "too many peers": "too_many",
    "the peer has closed the connection": "closed_by_peer",
    "too much of your gossip was bad": "bad_gossip",
}
"""Reasons of ours by which connections end, and how they are counted: every other one is `other`."""


class Tally:
    """The counters of one process."""

    __slots__ = ("bytes_in", "bytes_out", "ends", "heard_types", "onions_dropped", "pings", "said_types")

    def __init__(self) -> None:
        self.bytes_in = self.bytes_out = self.onions_dropped = 0
        self.heard_types: Counter[str] = Counter()
        self.said_types: Counter[str] = Counter()
        self.ends: Counter[str] = Counter(dict.fromkeys([*ENDS.values(), OTHER], 0))
        self.pings = Histogram(PING_SECONDS)

    def heard(self, message: bytes) -> None:
        """A message of a peer's. Hot, and so is `said`."""
        self.heard_types[(named(message[0] << 8 | message[1]) if len(message) > 1 else None) or OTHER] += 1

    def said(self, messages: Iterable[bytes]) -> None:
        """Messages that go to a peer."""
        types = self.said_types
        for message in messages:
            types[(named(message[0] << 8 | message[1]) if len(message) > 1 else None) or OTHER] += 1

    def said_gossip(self, messages: Sequence[bytes]) -> None:
        """The same for many that all have types of BOLT 7. Hot, 30 ns a message: what is served goes through here."""
        kinds = bytes(list(map(_low_byte, messages)))
        left = len(kinds)
        for kind, name in _MAP:
            count = kinds.count(kind)
            self.said_types[name] += count
            left -= count
        if left:
            self.said(message for message in messages if _low_byte(message) >= len(_MAP))

    def ended(self, reason: str) -> None:
        """A connection has ended, for this reason."""
        self.ends[ENDS.get(reason, OTHER)] += 1

    def put_into(self, samples: Samples) -> None:
        """All of it."""
        samples.put(PEER_BYTES, self.bytes_in, "in")
        samples.put(PEER_BYTES, self.bytes_out, "out")
        samples.put_each(PEER_MESSAGES, self.heard_types, "in")
        samples.put_each(PEER_MESSAGES, self.said_types, "out")
        samples.put_each(PEER_ENDS, self.ends)
        samples.put(ONIONS_DROPPED, self.onions_dropped)
        samples.put_histogram(PING_SECONDS, self.pings)
