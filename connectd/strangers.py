"""Which connections are accepted before a word has been said: bounds in total and for each source.

A source is an IPv4 address or an IPv6 /64, which is what one stranger has at least. What comes from this machine itself
(a Unix socket, 127.0.0.1, ::1) is one source without bounds of its own: there all the world comes in through Tor.
Knows no sockets; the clock is an argument.
"""

from collections import Counter

from wire.address import HERE, WireAddr, source_of, source_of_text
from wire.control.control_wire import PeerInfo
from wire.control.limits import Limits
from wire.control.shares import Newest

BURST = 20
"""Connections of one source that may come at once, and count towards its rate from then on."""
MAX_SOURCES = 10_000
"""Sources whose rate is remembered; those that have come longest ago are forgotten first."""


class Rates:
    """A token bucket for each source. `per_minute` tokens come in a minute, at most BURST are kept; 0: no limit."""

    def __init__(self, per_minute: int) -> None:
        self.change(per_minute)
        self._buckets: Newest[str, tuple[float, float]] = Newest(MAX_SOURCES)

    def change(self, per_minute: int) -> None:
        """Another rate from now on."""
        self._per_second = per_minute / 60
        self._burst = min(BURST, max(1, per_minute))

    def take(self, source: str, now: float) -> bool:
        """Whether one more may come; it counts only then."""
        if not self._per_second:
            return True
        tokens, then = self._buckets.get(source, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - then) * self._per_second)
        self._buckets.put(source, (tokens - 1 if tokens >= 1 else tokens, now))
        return tokens >= 1


class Established:
    """How many inbound connections that have been given to their owners each source has."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __len__(self) -> int:
        """Sources that have any."""
        return len(self._counts)

    def came(self, peer: PeerInfo) -> None:
        """A connection has been given away."""
        if (source := _source_of_peer(peer)) is not None:
            self._counts[source] += 1

    def went(self, peer: PeerInfo) -> None:
        """Its end has been reported."""
        if (source := _source_of_peer(peer)) is not None:
            self._counts[source] -= 1
            if not self._counts[source]:
                del self._counts[source]

    def count(self, source: str) -> int:
        """Those of one source."""
        return self._counts[source]


def _source_of_peer(peer: PeerInfo) -> str | None:
    """None for one that we have dialled."""
    return source_of_text(peer.address) if peer.incoming else None


class Strangers:
    """The connections that are in their handshake, by source; `established` has those that are past it."""

    def __init__(self, limits: Limits, established: Established) -> None:
        self._limits = limits
        self._established = established
        self._rates = Rates(limits.connect_rate)
        self._sources: dict[str, dict[int, None]] = {}
        self._source_of: dict[int, str] = {}

    def change(self, limits: Limits) -> None:
        """Other bounds from now on; what is there already stays."""
        self._limits = limits
        self._rates.change(limits.connect_rate)

    def __len__(self) -> int:
        return len(self._source_of)

    def refuses(self, address: WireAddr, now: float) -> str | None:
        """Why no more may come from this address now, or None: then it counts towards the source's rate."""
        source = source_of(address)
        if source == HERE:
            return None
        if len(self._sources.get(source, ())) >= self._limits.half_open_per_source:
            return "too many handshakes under way from there"
        if self._established.count(source) >= self._limits.inbound_per_source:
            return "too many peers from there"
        if not self._rates.take(source, now):
            return "too many connections from there"
        return None

    def came(self, conn_id: int, address: WireAddr) -> None:
        """A connection is in its handshake."""
        source = self._source_of[conn_id] = source_of(address)
        self._sources.setdefault(source, {})[conn_id] = None

    def went(self, conn_id: int) -> None:
        """A connection has been given away, or closed."""
        source = self._source_of.pop(conn_id, None)
        if source is not None:
            connections = self._sources[source]
            del connections[conn_id]
            if not connections:
                del self._sources[source]

    @property
    def too_many(self) -> bool:
        """One has to go."""
        return len(self) > self._limits.half_open

    def next_to_go(self) -> int | None:
        """Whose place is needed: the oldest of the source that has most."""
        most = max(self._sources.values(), key=len, default=None)
        return next(iter(most)) if most else None
