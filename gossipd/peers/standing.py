"""What each peer's gossip has been worth, and what follows from what it does wrong.

A score counts only what no honest implementation does by design: messages that are malformed or badly signed, and
announcements of outputs that are another's. Each counts once, however often it is said, and what the peer brings that
gets onto the map makes up for some: so a peer that relays what is wrong somewhere in its map is only told so, and one
that makes such messages is ignored and then hung up on. lnd's ban score and Eclair's silence are the models.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from gossipd.verdict import Consequence, PeerFault
from wire.control.control_message import ControlMessage
from wire.control.control_wire import PeerFault as PeerFaultMessage
from wire.control.control_wire import PeerGossip, PeerInfo
from wire.control.shares import Shares
from wire.control.status import Status
from wire.peer_wire import WarningMessage
from wire.start.late_dataclass import dataclass

IGNORE_AT, DISCONNECT_AT = 100.0, 200.0
"""Points. A wrong message is one; no honest peer has so many, since all implementations check what they relay."""
MAKES_UP = 0.1
"""Points that a message is worth which gets onto the map."""
IGNORED_FOR = 300.0
"""Seconds. Eclair's IGNORE_NETWORK_ANNOUNCEMENTS_PERIOD."""
WEARS_OFF = 1 / 60
"""Points a second."""
MOST_GONE = 1_000
"""Nodes that have left with points, which are still theirs when they come back."""

ALL_CHANNELS = bytes(32)

status = Status("gossipd")


class Step(Enum):
    """What the score has come to."""

    IGNORE = auto()
    DISCONNECT = auto()


@dataclass(frozen=True, slots=True)
class MovedStanding:
    """A standing as it goes to another gossipd. `ignored_for`: seconds for which the peer's gossip is not looked at."""

    points: float = 0.0
    ignored_for: float = 0.0
    good: int = 0
    redundant: int = 0
    rate_limited: int = 0
    bad: int = 0
    warned: bool = False


class Standing:
    """One peer's counters and score. `now` in seconds, of any clock that does not jump."""

    __slots__ = ("_at", "_points", "bad", "good", "ignored_until", "rate_limited", "redundant", "warned")

    def __init__(self) -> None:
        self.good = self.redundant = self.rate_limited = self.bad = 0
        """Offences of any kind."""
        self.warned = False
        """Whether it has been told that some of its gossip is bad."""
        self.ignored_until = 0.0
        """Its gossip is not looked at before; 0 if it never was ignored."""
        self._points = self._at = 0.0

    def inherit(self, earlier: "Standing") -> None:
        """The score of an earlier connection is this one's too."""
        self._points, self._at, self.ignored_until = earlier._points, earlier._at, earlier.ignored_until

    def leave(self, now: float) -> MovedStanding:
        """All of it, for another gossipd."""
        ignored_for = max(0.0, self.ignored_until - now)
        counters = self.good, self.redundant, self.rate_limited, self.bad
        return MovedStanding(self.points(now), ignored_for, *counters, self.warned)

    def go_on(self, moved: MovedStanding, now: float) -> None:
        """What another gossipd has left."""
        self._points, self._at = moved.points, now
        self.ignored_until = now + moved.ignored_for if moved.ignored_for else 0.0
        self.good, self.redundant, self.rate_limited, self.bad = (
            moved.good,
            moved.redundant,
            moved.rate_limited,
            moved.bad,
        )
        self.warned = moved.warned

    def points(self, now: float) -> float:
        """What is left of all offences."""
        return max(0.0, self._points - (now - self._at) * WEARS_OFF)

    def report(self, conn_id: int, now: float) -> PeerGossip:
        """The counters and the score, for the master."""
        counters = self.good, self.redundant, self.rate_limited, self.bad
        return PeerGossip(conn_id, *counters, round(self.points(now)), self.is_ignored(now))

    def is_ignored(self, now: float) -> bool:
        """Its gossip is not looked at."""
        return now < self.ignored_until

    def brought(self) -> None:
        """A message of its is on the map."""
        self.good += 1
        if self._points > 0:
            self._points = max(0.0, self._points - MAKES_UP)

    def offend(self, now: float, points: float = 1.0, *, may_end: bool = True) -> Step | None:
        """A wrong message: what it leads to, if anything. `may_end`: only gossip hangs on the connection (B7).

        Ignoring comes once, until its time is over.
        """
        self._points, self._at = self.points(now) + points, now
        if self._points >= DISCONNECT_AT and may_end:
            return Step.DISCONNECT
        if self._points >= IGNORE_AT and not self.is_ignored(now):
            self.ignored_until = now + IGNORED_FOR
            return Step.IGNORE
        return None


class Standings:
    """Where they come from and go to: nodes that have left with points are remembered, within a bound."""

    def __init__(self) -> None:
        self._gone: Shares[bytes, Standing] = Shares(MOST_GONE)

    def __len__(self) -> int:
        return len(self._gone)

    def come(self, node_id: bytes) -> Standing:
        """A peer's standing: a new one, or what it had when it left, with its counters from the beginning."""
        left = self._gone.pop(node_id)
        standing = Standing()
        if left is not None:
            standing.inherit(left)
        return standing

    def leave(self, node_id: bytes, standing: Standing, now: float) -> None:
        """A peer has left."""
        if standing.points(now) > 0:
            self._gone.put(node_id, standing, None)


class Judged(Protocol):
    """A peer, as far as it is judged."""

    @property
    def info(self) -> PeerInfo:
        """Who it is."""

    @property
    def standing(self) -> Standing:
        """What it was worth so far."""

    def brought(self, message: bytes) -> None:
        """A message of its has been appended to the store: it need not be told."""


class Around(Protocol):
    """What judging needs of the daemon."""

    def is_owned(self, conn_id: int) -> bool:
        """The connection is ours."""

    def is_remote(self, conn_id: int) -> bool:
        """Another process owns it, and its gossip fd is here."""

    def standing_of(self, conn_id: int) -> Judged | None:
        """The peer, whichever process owns its connection."""

    def hang_up(self, conn_id: int, last_words: list[bytes], reason: str) -> None:
        """Close a connection that is ours."""

    def warn(self, conn_id: int, message: bytes) -> None:
        """Send it when the peer's other messages have been heard."""

    def tell(self, message: ControlMessage) -> None:
        """Say this to the master."""

    def listen(self, conn_id: int, *, to_it: bool) -> None:
        """The peer's gossip is ignored from now on, or listened to again."""


class Judgement:
    """The one place where what a peer does wrong has its consequence."""

    def __init__(self, around: Around, call_later: Callable[..., object], clock: Callable[[], float]) -> None:
        """`call_later` and `clock`: the loop's."""
        self._around = around
        self._call_later = call_later
        self.faults = dict.fromkeys(Consequence, 0)
        self._clock = clock

    def fault(self, peer: Judged, fault: PeerFault) -> bool:
        """A fault that is not about gossip has the consequence that it carries. False if the connection is gone."""
        self._log(peer, str(fault))
        self.faults[fault.consequence] += 1
        warning = WarningMessage(ALL_CHANNELS, str(fault).encode()).encode()
        conn_id = peer.info.conn_id
        if fault.consequence is Consequence.WARN:
            self._around.warn(conn_id, warning)
            return True
        if self._around.is_owned(conn_id):
            self._around.hang_up(conn_id, [warning], str(fault))
        elif self._around.is_remote(conn_id):
            self._around.warn(conn_id, warning)
            self._around.tell(PeerFaultMessage(peer.info.node_id, conn_id, str(fault)))
        return False

    def bad_gossip(self, peer: Judged, fault: PeerFault) -> bool:
        """A gossip message is malformed or badly signed: it is passed over. The peer is told of the first one of a
        connection, and its score counts it. False if the connection is gone.
        """
        standing = peer.standing
        standing.bad += 1
        step = standing.offend(self._clock(), may_end=self._around.is_owned(peer.info.conn_id))
        if not standing.warned:
            standing.warned = True
            return self.fault(peer, fault) and self._take(step, peer)
        self._log(peer, str(fault))
        return self._take(step, peer)

    def found_good(self, message: bytes, conn_id: int) -> None:
        """A message of its is on the map, and in the store."""
        peer = self._around.standing_of(conn_id)
        if peer is not None:
            peer.standing.brought()
            peer.brought(message)

    def found_bad(self, conn_id: int, fault: PeerFault) -> None:
        """`bad_gossip` that was found after its message had gone down the pipeline; its sender may have left."""
        peer = self._around.standing_of(conn_id)
        if peer is not None:
            self.bad_gossip(peer, fault)

    def found_too_often(self, conn_id: int) -> None:
        """An update of a channel that updates too often: that channel's doing, which relays cannot help."""
        peer = self._around.standing_of(conn_id)
        if peer is not None:
            peer.standing.rate_limited += 1

    def _take(self, step: Step | None, peer: Judged) -> bool:
        match step:
            case Step.IGNORE:
                text = f"your gossip is ignored for {IGNORED_FOR:.0f} seconds: too much of it was bad"
                self._around.listen(peer.info.conn_id, to_it=False)
                self._call_later(IGNORED_FOR, self._listen_again, peer)
                return self.fault(peer, PeerFault(text, Consequence.WARN))
            case Step.DISCONNECT:
                return self.fault(peer, PeerFault("too much of your gossip was bad", Consequence.DISCONNECT))
        return True

    def go_on(self, peer: Judged) -> None:
        """A peer that another gossipd ignores for a while: so do we, for the rest of it."""
        left = peer.standing.ignored_until - self._clock()
        self._call_later(max(0.0, left), self._listen_again, peer)

    def _listen_again(self, peer: Judged) -> None:
        if self._around.standing_of(peer.info.conn_id) is peer:
            self._around.listen(peer.info.conn_id, to_it=True)

    def _log(self, peer: Judged, text: str) -> None:
        status.by_stranger("offence", text, peer.info.node_id, peer.info.address)
