"""The way of a node_announcement: cheap checks, signature, map and store. BOLT 7, The node_announcement Message.

Those of nodes that have no channel yet wait, unchecked: one of each source, so that a forged one takes no other's
place; all of them are looked at when the node has a channel (B7-69).
"""

from collections.abc import Callable

from gossipd.ingest.around import Around
from gossipd.ingest.checks import bad_gossip
from gossipd.ingest.ratelimit import RateLimit
from gossipd.ingest.signatures import GOOD
from gossipd.ingest.updates import MAX_FUTURE
from gossipd.verdict import PeerFault, Verdict
from wire.address import may_forward
from wire.bus.feed import Outcome
from wire.control.shares import Shares
from wire.cursor import WireError
from wire.gossip_layout import (
    BODY_ADDRESSES,
    BODY_ADDRLEN,
    BODY_NODE_ID,
    BODY_RGB,
    NODE_FEATURES,
    U16,
    U32,
    node_body,
    node_timestamp,
)

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 8_000_000

# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
_CHECKING, _REDUNDANT = Verdict.CHECKING, Verdict.REDUNDANT


class NodeIntake:
    """The part of the pipeline that is about nodes."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._index = around.index
        self._checks = around.checks
        self._rate_limit: RateLimit[bytes] = RateLimit()
        self.waiting = WaitingNodes(self._checks.debt.note)
        self.awaited = self.waiting.sources.keys()
        """Nodes whose announcements wait for a channel."""

    def receive(self, message: bytes, source: int) -> Verdict:
        """Take one node_announcement in. Raises PeerFault if it is malformed (B1-7)."""
        at, end = _measure(message)
        timestamp = U32.unpack_from(message, at)[0]
        node_id = message[at + BODY_NODE_ID : at + BODY_RGB]
        row = self._index.nodes.get(node_id)
        if row is not None and self._is_known(row, timestamp):
            return _REDUNDANT
        if timestamp > self._around.now() + MAX_FUTURE:
            return Verdict.FUTURE
        if row is None:
            return Verdict.WAITING if self.waiting.put(node_id, message, source) else _REDUNDANT
        if message in self._checks.under_way:
            return _REDUNDANT
        try:
            if not may_forward(message[at + BODY_ADDRESSES : end]):
                return Verdict.TWO_HOST_NAMES
        except WireError as error:  # B7-72
            raise bad_gossip(f"node_announcement {node_id.hex()}: addresses: {error}") from error
        if not self._checks.submit(
            message, b"", source, lambda result: self._checked(message, node_id, source, result)
        ):
            return Verdict.OWED
        self._checks.under_way.add(message)
        return _CHECKING

    def _is_known(self, row: int, timestamp: int) -> bool:
        """This one or a newer one is on the map. A first one may have timestamp 0."""
        return bool(self._index.node_announce_off[row]) and timestamp <= self._index.node_ts[row]

    def channel_written(self, node_ids: tuple[bytes, bytes]) -> None:
        """These have a channel now: their announcements may have waited for that."""
        if self.awaited.isdisjoint(node_ids):
            return
        for node_id in node_ids:
            for message, source in self.waiting.take(node_id):
                try:
                    self.receive(message, source)
                except PeerFault as fault:
                    self._checks.bad(message, source, fault)

    def _checked(self, message: bytes, node_id: bytes, source: int, result: int) -> None:
        self._checks.under_way.discard(message)
        if result != GOOD:
            self._checks.bad(message, source, bad_gossip(f"node_announcement {node_id.hex()}: bad signature"))
            return
        self._checks.verified(message, source)
        row = self._index.nodes.get(node_id)
        timestamp = node_timestamp(message)
        if row is None:
            self._checks.settle(message, Outcome.REJECTED, "its last channel has gone meanwhile")
        elif self._is_known(row, timestamp):
            self._checks.settle(message, Outcome.REDUNDANT)
        elif self._index.node_announce_off[row] and not self._rate_limit.allows(node_id, self._around.clock()):
            self._checks.results["rate limited"] += 1
            self._checks.settle(message, Outcome.RATE_LIMITED, "its node announces itself too often")
        else:
            self._checks.settle(message, Outcome.NEW)
            self._around.writer.write_node(row, timestamp, message)
            self._checks.stored(message, source)
            self._around.stored()


def _measure(message: bytes) -> tuple[int, int]:
    """Where the timestamp stands, and where the addresses end. Raises PeerFault if the message is cut (B1-7)."""
    if len(message) < NODE_FEATURES or len(message) < (at := node_body(message)) + BODY_ADDRESSES:
        raise bad_gossip("node_announcement is too short")
    end = at + BODY_ADDRESSES + int(U16.unpack_from(message, at + BODY_ADDRLEN)[0])
    if len(message) < end:
        raise bad_gossip("node_announcement is too short for its addresses")
    return at, end


class WaitingNodes:
    """The last message of each node and source; the greediest source makes room, and `dropped` hears what was lost."""

    def __init__(self, dropped: Callable[[bytes, int], None]) -> None:
        self.table: Shares[tuple[bytes, int], bytes] = Shares(MAX_WAITING, MAX_WAITING_BYTES)
        self.sources: dict[bytes, list[int]] = {}
        """Whose messages are here of a node; to be read."""
        self._dropped = dropped

    def __len__(self) -> int:
        return len(self.table)

    def put(self, node_id: bytes, message: bytes, source: int) -> bool:
        """Keep this one instead of the source's last one; False if it is here already."""
        sources = self.sources.get(node_id, [])
        if any(self.table.get((node_id, other)) == message for other in sources):
            return False
        before = self.table.get((node_id, source))
        if before is not None and node_timestamp(before) >= node_timestamp(message):
            return False
        if before is None:
            self.sources.setdefault(node_id, []).append(source)
        for (gone, whose), lost in self.table.put((node_id, source), message, source, len(message)):
            self._forget(gone, whose)
            self._dropped(lost, whose)
        return True

    def take(self, node_id: bytes) -> list[tuple[bytes, int]]:
        """(message, source) of all that are here of a node, the newest first; they are here no longer."""
        waiting = []
        for source in self.sources.pop(node_id, []):
            message = self.table.pop((node_id, source))
            assert message is not None
            waiting.append((message, source))
        return sorted(waiting, key=lambda each: -node_timestamp(each[0]))

    def messages(self) -> list[tuple[bytes, int]]:
        """All that is here with its source: for another gossipd."""
        return [(message, source) for (_, source), message in self.table.values.items()]

    def _forget(self, node_id: bytes, source: int) -> None:
        sources = self.sources[node_id]
        sources.remove(source)
        if not sources:
            del self.sources[node_id]
