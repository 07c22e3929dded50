"""What `top` shows, out of answers of the node: rates between two of them, peers in order, the one that is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from lightningd_py.top.processes import Usage
from wire.start.late_dataclass import dataclass

ALWAYS = ("accepted", "redundant", "rate_limited", "bad")
VERDICTS = (
    *ALWAYS,
    *("waiting", "held", "unknown_channel", "wrong_chain", "dont_forward", "future", "closed", "stale", "no_output"),
    *("too_early", "two_host_names", "conflict", "blacklisted", "refused", "owed", "full"),
)
"""Counters of gossipstatus that say what became of arrivals. Those that are not ALWAYS are shown once they count."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The answers of one moment; `now` in seconds of a clock that does not jump."""

    now: float
    peers: Sequence[Mapping[str, Any]]
    gossip: Mapping[str, Any]
    processes: Sequence[Usage]


@dataclass(frozen=True, slots=True)
class PeerRow:
    """A connection. Rates in bytes a second, ping in milliseconds; None where it is not known."""

    node_id: str
    conn_id: int
    owner: str
    direction: str
    address: str
    rate_in: float
    rate_out: float
    ping_ms: float | None
    new: int
    redundant: int
    refused: int
    score: int
    since: float
    raw: Mapping[str, Any]
    gossip: Mapping[str, Any]


SORTS = ("owner", "in/s", "out/s", "ping", "new", "redundant", "refused", "since")
_KEYS: dict[str, Any] = {
    "owner": lambda row: (row.owner, row.node_id),
    "in/s": lambda row: -row.rate_in,
    "out/s": lambda row: -row.rate_out,
    "ping": lambda row: -1.0 if row.ping_ms is None else -row.ping_ms,
    "new": lambda row: -row.new,
    "redundant": lambda row: -row.redundant,
    "refused": lambda row: (-row.refused, -row.score),
    "since": lambda row: row.since,
}


@dataclass(slots=True)
class Model:
    """Fed with snapshots; keys change how it is looked at."""

    sort: str = SORTS[0]
    reverse: bool = False
    chosen: int | None = None
    """The conn_id of the peer that the cursor is on."""
    detail: bool = False
    last: Snapshot | None = None
    before: Snapshot | None = None
    rows: list[PeerRow] = field(default_factory=list)

    def feed(self, snapshot: Snapshot) -> None:
        """The next answers."""
        self.before, self.last = self.last, snapshot
        self._order()

    def _order(self) -> None:
        rows = [self._row(peer) for peer in self.last.peers if peer.get("connected")] if self.last else []
        self.rows = sorted(rows, key=_KEYS[self.sort], reverse=self.reverse)
        if self.chosen not in [row.conn_id for row in self.rows]:
            self.chosen, self.detail = (self.rows[0].conn_id if self.rows else None), False

    def _row(self, peer: Mapping[str, Any]) -> PeerRow:
        assert self.last is not None
        conn_id = peer["conn_id"]
        said: Mapping[str, Any] = next(
            (each for each in self.last.gossip.get("peer_gossip", ()) if each["conn_id"] == conn_id), {}
        )
        return PeerRow(
            node_id=peer["id"],
            conn_id=conn_id,
            owner=peer["owner"],
            direction=peer["direction"],
            address=(peer.get("netaddr") or ["-"])[0],
            rate_in=self._rate(peer, "bytes_in"),
            rate_out=self._rate(peer, "bytes_out"),
            ping_ms=peer.get("ping_ms"),
            new=said.get("good", peer.get("new_gossip", 0)),
            redundant=said.get("redundant", 0),
            refused=said.get("bad", 0) + said.get("rate_limited", 0),
            score=said.get("score", 0),
            since=peer.get("connected_since", 0),
            raw=peer,
            gossip=said,
        )

    def _rate(self, peer: Mapping[str, Any], name: str) -> float:
        if self.before is None or self.last is None:
            return 0.0
        for earlier in self.before.peers:
            if earlier.get("conn_id") == peer["conn_id"]:
                return self._a_second(peer.get(name, 0) - earlier.get(name, 0))
        return 0.0

    def _a_second(self, difference: float) -> float:
        assert self.last is not None
        assert self.before is not None
        return max(0.0, difference / max(self.last.now - self.before.now, 0.001))

    # what else is shown

    @property
    def peer(self) -> PeerRow | None:
        """The one that the cursor is on."""
        return next((row for row in self.rows if row.conn_id == self.chosen), None)

    @property
    def percent(self) -> float:
        """How much of what was asked for has come."""
        return float(self.last.gossip.get("percent", 0)) if self.last else 0.0

    def verdicts(self) -> list[tuple[str, int, float]]:
        """Name, count and rate a second of each kind of arrival."""
        if self.last is None:
            return []
        earlier = self.before.gossip if self.before else self.last.gossip
        found = [(name, int(self.last.gossip[name])) for name in VERDICTS if name in self.last.gossip]
        found = [(name, count) for name, count in found if count or name in ALWAYS]
        return [
            (name, count, self._a_second(count - earlier.get(name, count)) if self.before else 0.0)
            for name, count in found
        ]

    def daemons(self) -> list[tuple[Usage, float]]:
        """Each process, and its CPU in percent of one core."""
        if self.last is None:
            return []
        earlier = {usage.pid: usage.cpu for usage in self.before.processes} if self.before else {}
        return [
            (usage, 100 * self._a_second(usage.cpu - earlier.get(usage.pid, usage.cpu)) if self.before else 0.0)
            for usage in self.last.processes
        ]

    # keys

    def next_sort(self) -> None:
        """By the next column."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self._order()

    def turn(self) -> None:
        """The other way round."""
        self.reverse = not self.reverse
        self._order()

    def move(self, step: int) -> None:
        """The cursor up or down."""
        places = [row.conn_id for row in self.rows]
        if self.chosen in places:
            self.chosen = places[min(max(places.index(self.chosen) + step, 0), len(places) - 1)]
