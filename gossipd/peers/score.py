"""What each peer's gossip has been worth: counters, and a score of its offences that wears off with time.

Points are for what only the peer itself can be blamed for, or what it passes on too freely; gossip that we merely have
already costs nothing. lnd's ban score and Eclair's five minutes of silence are the models (anchors A3). Here it is only
reckoned; what follows is done in `offences.py`.
"""

from enum import Enum, auto

from gossipd.verdict import Verdict
from wire.control.control_wire import PeerGossip

BAD_SIGNATURE = 20.0
"""Points for a message that its sender must not have passed on."""
MALFORMED = 10.0
"""For one that cannot be read, or names its nodes or addresses wrongly: more often a bug than malice."""
RATE_LIMITED = 0.1
"""For an update of a channel that updates too often: mostly that channel's doing, not the peer's."""
UNWANTED = {
    Verdict.REFUSED: 2.0,
    Verdict.CLOSED: 0.1,
    Verdict.NO_OUTPUT: 0.2,
    Verdict.FUTURE: 1.0,
    Verdict.TWO_HOST_NAMES: 0.5,
}
"""For what is refused before its signature is looked at. All else is free."""

WARN_AT, IGNORE_AT, DISCONNECT_AT = 50.0, 90.0, 190.0
IGNORED_FOR = 300.0
"""Seconds. Eclair's IGNORE_NETWORK_ANNOUNCEMENTS_PERIOD."""
WEARS_OFF = 1 / 60
"""Points a second: a wrong signature is forgotten after twenty minutes, everything after three hours."""
MOST_GONE = 1_000
"""Nodes that have left with points, which are still theirs when they come back."""


class Step(Enum):
    """What the score has come to."""

    WARN = auto()
    IGNORE = auto()
    DISCONNECT = auto()


class Standing:
    """One peer's counters and score. `now` in seconds, of any clock that does not jump."""

    __slots__ = ("_at", "_points", "bad", "good", "ignored_until", "rate_limited", "redundant")

    def __init__(self) -> None:
        self.good = self.redundant = self.rate_limited = self.bad = 0
        self.ignored_until = 0.0
        """Its gossip is not looked at before; 0 if it never was ignored."""
        self._points = self._at = 0.0

    def inherit(self, earlier: "Standing") -> None:
        """The score of an earlier connection is this one's too."""
        self._points, self._at, self.ignored_until = earlier._points, earlier._at, earlier.ignored_until

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

    def offend(self, points: float, now: float, *, may_end: bool = True) -> Step | None:
        """An offence: what it leads to, if anything does. `may_end`: nobody else needs the connection (B7).

        Warnings and ignoring come once, until enough has worn off or the time is over.
        """
        before = self.points(now)
        self._points, self._at = before + points, now
        if self._points >= DISCONNECT_AT and may_end:
            return Step.DISCONNECT
        if self._points >= IGNORE_AT and not self.is_ignored(now):
            self.ignored_until = now + IGNORED_FOR
            return Step.IGNORE
        if before < WARN_AT <= self._points < IGNORE_AT:
            return Step.WARN
        return None


class Standings:
    """Where they come from and go to: nodes that have left with points are remembered, within a bound."""

    def __init__(self) -> None:
        self._gone: dict[bytes, Standing] = {}

    def __len__(self) -> int:
        return len(self._gone)

    def come(self, node_id: bytes) -> Standing:
        """A peer's standing: a new one, or what it had when it left, with its counters from the beginning."""
        left = self._gone.pop(node_id, None)
        standing = Standing()
        if left is not None:
            standing.inherit(left)
        return standing

    def leave(self, node_id: bytes, standing: Standing, now: float) -> None:
        """It has left."""
        if standing.points(now) > 0:
            self._gone.pop(node_id, None)
            self._gone[node_id] = standing
            if len(self._gone) > MOST_GONE:
                del self._gone[next(iter(self._gone))]
