"""Which nodes are connected: one connection a node (B1-1), and of two the newest wins, but for dials that cross.

A connection that has done INIT is a *candidate*. If its node has no other connection it goes to its owner at once.
Otherwise it waits, unread, until the older one's end has been reported; the master is told once that the older one must
end. A newer candidate replaces an older one, which is closed: it has no owner yet that would have to be asked.

Two nodes that dial each other at the same moment would both close what the other one keeps, if for both the newest won
and each saw another order. So of two connections of opposite directions, of which the newer one was begun before the
older one had done INIT or within CROSSING seconds after it, both nodes keep the one that was dialled by the node with
the smaller node_id, as lnd does. The other connection is closed by the node that has dialled it, and kept for a
moment in reserve by the one that has accepted it: the end of the older one may be known to the other node only.
"""

import asyncio
import math
from collections.abc import Callable, Container

from connectd.connection import Connection, ConnectionEnded
from connectd.strangers import Established
from wire.control.control_wire import PeerInfo
from wire.start.late_dataclass import dataclass

CROSSING = 10.0
"""Seconds: more than the two ends of a handshake can be apart in seeing it done. A node that has really lost its
connection so soon is accepted at its next try."""

RESERVE = 2.0
"""Seconds for which an accepted connection that gives way is kept."""


def crosses(older: PeerInfo, done: float, newer: PeerInfo, begun: float, our_id: bytes) -> bool:
    """Whether the newer connection is to give way to the older one: they have crossed, and the older one was dialled by
    the node with the smaller id. `done`: when the older one had done INIT, `begun`: when the newer one was dialled or
    accepted, both of one clock.
    """
    if older.incoming == newer.incoming or begun > done + CROSSING:
        return False
    return older.incoming == (older.node_id < our_id)


class Candidate:
    """A connection after INIT, not yet given away. `turn` is done when it may go; `settled` when its fate is known."""

    def __init__(self, connection: Connection, peer: PeerInfo) -> None:
        loop = asyncio.get_running_loop()
        self.connection = connection
        self.peer = peer
        self.turn: asyncio.Future[None] = loop.create_future()
        self.settled: asyncio.Future[str | None] = loop.create_future()
        """None if it was given away, else why not."""
        self.done = loop.time()
        self.direct = False
        """Given straight to gossipd."""

    def may_go(self) -> None:
        """Nothing stands in the way."""
        if not self.turn.done():
            self.turn.set_result(None)

    def lose(self, reason: str) -> None:
        """Settle that it will not be given away."""
        if not self.turn.done():
            self.turn.set_exception(ConnectionEnded(reason))
            self.turn.exception()  # what waited for it may be gone
        if not self.settled.done():
            self.settled.set_result(reason)


@dataclass(slots=True)
class _Entry:
    """What is known of one node: the connection that is with its owner, and the one that is still here."""

    owned: PeerInfo | None = None
    done: float = 0.0
    """When the owned connection had done INIT."""
    candidate: Candidate | None = None
    told: bool = False
    """The master knows that the owned connection must end."""
    reserve: Candidate | None = None
    """Crossed with one of these, and gives way to it, unless that turns out to have ended."""
    direct: bool = False
    """The owned connection was given straight to gossipd."""


@dataclass(frozen=True, slots=True)
class MovedNode:
    """A node whose connection is with its owner, for the connectd that comes next. See `_Entry`."""

    owned: PeerInfo
    done: float = -math.inf
    told: bool = False
    direct: bool = False


class OnePerNode:
    """The table of live nodes. `on_duplicate` gets the node_id and the conn_id of a connection that must end."""

    def __init__(
        self,
        node_id: bytes,
        on_duplicate: Callable[[bytes, int], None],
        on_candidate: Callable[[Candidate], None],
        established: Established,
    ) -> None:
        """`node_id` is ours; `on_candidate` hears of each connection that has done INIT."""
        self._node_id = node_id
        self._established = established
        self._entries: dict[bytes, _Entry] = {}
        self._on_duplicate = on_duplicate
        self._on_candidate = on_candidate
        self._elsewhere = False

    def __len__(self) -> int:
        """How many nodes are connected, or about to be."""
        return len(self._entries)

    def owned(self, node_id: bytes) -> PeerInfo | None:
        """The connection of this node that has been given away, and whose end has not been reported."""
        entry = self._entries.get(node_id)
        return entry.owned if entry else None

    def candidate(self, node_id: bytes) -> Candidate | None:
        """The connection of this node that waits here."""
        entry = self._entries.get(node_id)
        return entry.candidate if entry else None

    def our_dial_stays(self, node_id: bytes) -> bool:
        """Whether of two dials that cross ours is the one that both nodes keep."""
        return self._node_id < node_id

    def enter(self, candidate: Candidate) -> Candidate | None:
        """A connection has done INIT. Returns the one that is to be closed now: an older one, or this."""
        if self._elsewhere:
            self._entries[candidate.peer.node_id] = _Entry(candidate=candidate)
            candidate.may_go()
            self._on_candidate(candidate)
            return None
        entry = self._entries.setdefault(candidate.peer.node_id, _Entry())
        if self._gives_way(entry, candidate):
            if not candidate.peer.incoming:
                return candidate
            replaced, entry.reserve = entry.reserve, candidate
        else:
            replaced, entry.candidate = entry.candidate, candidate
            self._its_turn(entry)
        if replaced is not None:
            replaced.lose("a newer connection of the same node has come")
        self._on_candidate(candidate)
        return replaced

    def _gives_way(self, entry: _Entry, newer: Candidate) -> bool:
        if entry.candidate is not None:
            older, done = entry.candidate.peer, entry.candidate.done
        elif entry.owned is not None and not entry.told:
            older, done = entry.owned, entry.done
        else:
            return False
        return crosses(older, done, newer.peer, newer.connection.begun, self._node_id)

    def _its_turn(self, entry: _Entry) -> None:
        """The candidate goes, or an older connection is to make way for it."""
        if entry.candidate is None:
            return
        if entry.owned is None:
            entry.candidate.may_go()
        elif not entry.told:
            entry.told = True
            self._on_duplicate(entry.owned.node_id, entry.owned.conn_id)

    def is_newest(self, candidate: Candidate) -> bool:
        """Whether no newer connection has replaced it."""
        return self.candidate(candidate.peer.node_id) is candidate

    def in_reserve(self, candidate: Candidate) -> bool:
        """Whether it gives way to another one."""
        entry = self._entries.get(candidate.peer.node_id)
        return entry is not None and entry.reserve is candidate

    def given_away(self, candidate: Candidate) -> None:
        """The connection is with its owner now."""
        reserve = self._entries.get(candidate.peer.node_id, _Entry()).reserve
        self._entries[candidate.peer.node_id] = _Entry(
            candidate.peer, candidate.done, reserve=reserve, direct=candidate.direct
        )
        self._established.came(candidate.peer)
        candidate.settled.set_result(None)

    def lives_elsewhere(self, peer: PeerInfo) -> None:
        """A connection that another connectd has given away, before we were. If a newer one is here it must end."""
        entry = self._entries.setdefault(peer.node_id, _Entry())
        if entry.owned is None:
            entry.owned, entry.done = peer, -math.inf
            self._established.came(peer)
            self._its_turn(entry)
        elif entry.owned.conn_id != peer.conn_id:
            self._on_duplicate(peer.node_id, peer.conn_id)

    # another connectd, before this one or after it

    def leave(self) -> list[MovedNode]:
        """Those whose connections are with their owners."""
        entries = [(entry.owned, entry) for entry in self._entries.values()]
        return [MovedNode(owned, e.done, e.told, e.direct) for owned, e in entries if owned is not None]

    def go_on(self, left: list[MovedNode]) -> None:
        """What another connectd has left, before any connection has come here."""
        for node in left:
            entry = self._entries.setdefault(node.owned.node_id, _Entry())
            if entry.owned is None:
                entry.owned, entry.done, entry.told, entry.direct = node.owned, node.done, node.told, node.direct
                self._established.came(node.owned)

    def let_go(self) -> None:
        """Another connectd has the table: what has done INIT here is to go there at once, and finds its place there."""
        self._elsewhere = True
        for entry in list(self._entries.values()):
            entry.owned = None
            for candidate in (entry.candidate, entry.reserve):
                if candidate is not None:
                    candidate.may_go()

    def lose_direct(self, live: Container[int]) -> list[PeerInfo]:
        """gossipd has died: what it was given on the direct path is gone, but for these conn_ids. Returns what went."""
        owned = [entry.owned for entry in self._entries.values() if entry.owned is not None and entry.direct]
        lost = [peer for peer in owned if peer.conn_id not in live]
        for peer in lost:
            self.disconnected(peer.node_id, peer.conn_id)
        return lost

    def lost(self, candidate: Candidate, reason: str) -> None:
        """The connection has ended before it could be given away."""
        entry = self._entries.get(candidate.peer.node_id, _Entry())
        if entry.reserve is candidate:
            entry.reserve = None
        elif entry.candidate is candidate:
            entry.candidate, entry.reserve = entry.reserve, None
            self._its_turn(entry)
        self._forget_if_empty(candidate.peer.node_id)
        candidate.lose(reason)

    def disconnected(self, node_id: bytes, conn_id: int) -> bool:
        """The end of a connection was reported; False for one that the table does not have."""
        entry = self._entries.get(node_id)
        if entry is None or entry.owned is None or entry.owned.conn_id != conn_id:
            return False
        self._established.went(entry.owned)
        entry.owned, entry.told, entry.direct = None, False, False
        if entry.candidate is None:
            entry.candidate, entry.reserve = entry.reserve, None
        self._its_turn(entry)
        self._forget_if_empty(node_id)
        return True

    def _forget_if_empty(self, node_id: bytes) -> None:
        entry = self._entries.get(node_id)
        if entry is not None and entry.owned is None and entry.candidate is None:
            del self._entries[node_id]
