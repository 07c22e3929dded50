"""Taking node_announcements in: cheap checks, signature, map and store. BOLT 7.

Those that come before any channel of their node are kept for a while, unchecked, within bounds. Fields are read by
precompiled structs at fixed offsets.
"""

from collections.abc import Callable
from struct import Struct

from gossipd.ingest.checks import Checks
from gossipd.ingest.signatures import GOOD
from gossipd.map.index import MapIndex
from gossipd.map.writer import MapWriter
from gossipd.verdict import Consequence, PeerFault, Verdict
from wire.address import may_forward
from wire.bus.feed import Outcome
from wire.cursor import WireError

_U16, _U32 = Struct(">H"), Struct(">I")

# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
_CHECKING, _REDUNDANT = Verdict.CHECKING, Verdict.REDUNDANT


class NodeIngest:
    """The part of Ingest that is about nodes."""

    def __init__(self, writer: MapWriter, index: MapIndex, checks: Checks, stored: Callable[[], None]) -> None:
        """`stored` hears that something waits for the store's flush."""
        self._writer = writer
        self._index = index
        self._checks = checks
        self._stored = stored
        self._waiting = WaitingNodes()

    def receive(self, message: bytes, source: int) -> Verdict:
        """Take one node_announcement in. Raises PeerFault if it is malformed (B1-7)."""
        if len(message) < 68 or len(message) < (at := 68 + _U16.unpack_from(message, 66)[0]) + 74:
            raise PeerFault("node_announcement is too short", Consequence.DISCONNECT)
        (timestamp,) = _U32.unpack_from(message, at)
        end = at + 74 + _U16.unpack_from(message, at + 72)[0]
        if len(message) < end:
            raise PeerFault("node_announcement is too short for its addresses", Consequence.DISCONNECT)
        node_id = message[at + 4 : at + 37]
        row = self._index.nodes.get(node_id)
        if row is None:
            self._waiting.put(node_id, message, source)  # B7-69: its channel may be on the way
            return Verdict.WAITING
        if self._is_known(row, timestamp) or message in self._checks.under_way:
            return _REDUNDANT
        try:
            if not may_forward(message[at + 74 : end]):
                return Verdict.TWO_HOST_NAMES
        except WireError as error:  # B7-72
            raise PeerFault(f"node_announcement {node_id.hex()}: addresses: {error}", Consequence.WARN) from error
        if not self._checks.submit(message, b"", lambda result: self._checked(message, node_id, source, result)):
            return Verdict.OWED
        self._checks.under_way.add(message)
        return _CHECKING

    def _is_known(self, row: int, timestamp: int) -> bool:
        """Whether the node has said something as new as this; the first that it says may be of timestamp 0."""
        return bool(self._index.node_announce_off[row]) and timestamp <= self._index.node_ts[row]

    def channel_written(self, node_id: bytes) -> None:
        """The node has a channel now: its announcement may have waited for that."""
        if (waiting := self._waiting.take(node_id)) is None:
            return
        message, source = waiting
        try:
            self.receive(message, source)
        except PeerFault as fault:
            self._checks.bad(message, source, fault)

    def _checked(self, message: bytes, node_id: bytes, source: int, result: int) -> None:
        self._checks.under_way.discard(message)
        if result != GOOD:
            fault = PeerFault(f"node_announcement {node_id.hex()}: bad signature", Consequence.WARN)
            self._checks.bad(message, source, fault)
            return
        self._checks.good(message, source)
        row = self._index.nodes.get(node_id)
        timestamp = int(_U32.unpack_from(message, 68 + _U16.unpack_from(message, 66)[0])[0])
        if row is None:
            self._checks.settle(message, Outcome.REJECTED, "its last channel has gone meanwhile")
            return
        if self._is_known(row, timestamp):
            self._checks.settle(message, Outcome.REDUNDANT)
            return
        self._checks.settle(message, Outcome.NEW)
        self._writer.write_node(row, timestamp, message)
        self._checks.counters["accepted"] += 1
        self._stored()


MAX_WAITING = 10_000
MAX_WAITING_BYTES = 8_000_000


class WaitingNodes:
    """The last message of each node, with its source; the oldest ones make room."""

    def __init__(self) -> None:
        self._messages: dict[bytes, tuple[bytes, int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, node_id: bytes, message: bytes, source: int) -> None:
        """Keep this one instead of the one before."""
        self.take(node_id)
        self._messages[node_id] = (message, source)
        self._bytes += len(message)
        while len(self._messages) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self.take(next(iter(self._messages)))

    def take(self, node_id: bytes) -> tuple[bytes, int] | None:
        """(message, source) of a node, which is here no longer; None if there is none."""
        waiting = self._messages.pop(node_id, None)
        if waiting is not None:
            self._bytes -= len(waiting[0])
        return waiting
