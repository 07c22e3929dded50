"""What the feed says, in figures, and the newest arrivals: filled by the thread that reads the feed, shown by another.

A subscriber is no queue: it has a number, up to which it has seen arrivals, and gets what is newer and still there.
"""

import threading
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from wire.bus.feed import FeedMessage, Gossip, PeerConnected, PeerDisconnected
from wire.command.text import replaced
from wire.control.shares import Newest
from wire.scid import scid_to_text

MOST_ARRIVALS = 200
"""That are kept to be shown."""
MOST_PEERS = 400
SHOWN_PEERS = 100
HISTORY = 600
"""Seconds of counts."""
LONGEST_TEXT = 200
KINDS = {256: "channel_announcement", 257: "node_announcement", 258: "channel_update"}


class _Peer:
    __slots__ = ("address", "connected", "counts", "incoming", "last_ns")

    def __init__(self) -> None:
        self.address = ""
        self.incoming: bool | None = None
        self.connected = True
        self.counts: Counter[str] = Counter()
        self.last_ns = 0


class Arrivals:
    """Since this process has begun. All methods may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._newest: deque[dict[str, Any]] = deque(maxlen=MOST_ARRIVALS)
        self._totals: Counter[str] = Counter()
        self._kinds: Counter[str] = Counter()
        self._seconds: deque[tuple[int, Counter[str]]] = deque(maxlen=HISTORY)
        self._peers: Newest[bytes, _Peer] = Newest(MOST_PEERS)
        self._state = "the feed has not been reached yet"
        self._lost = 0

    def set_state(self, sentence: str, lost: int = 0) -> None:
        """How it is with the feed; "" is well. `lost`: messages that this subscriber has missed since it came."""
        with self._lock:
            self._state, self._lost = sentence, lost

    def hear(self, message: FeedMessage) -> None:
        """Take in a message."""
        with self._lock:
            match message:
                case Gossip():
                    self._hear_gossip(message)
                case PeerConnected():
                    peer = self._peer(message.node_id)
                    peer.address, peer.incoming, peer.connected = message.address, message.incoming, True
                case PeerDisconnected():
                    self._peer(message.node_id).connected = False

    def _peer(self, node_id: bytes) -> _Peer:
        peer = self._peers.get(node_id) or _Peer()
        self._peers.put(node_id, peer)
        return peer

    def _hear_gossip(self, message: Gossip) -> None:
        self._number += 1
        kind = KINDS.get(message.type, message.topic.removeprefix("gossip."))
        self._totals[message.outcome] += 1
        self._kinds[kind] += 1
        second = message.time_ns // 1_000_000_000
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append((second, Counter()))
        self._seconds[-1][1][message.outcome] += 1
        if message.node_id is not None:
            peer = self._peer(message.node_id)
            peer.counts[message.outcome] += 1
            peer.last_ns, peer.incoming = message.time_ns, message.incoming
        self._newest.append(_shown(self._number, kind, message))

    def news(self, seen: int | None) -> dict[str, Any]:
        """All figures, and what has come after number `seen`; None: this is the first look."""
        with self._lock:
            fresh = self._number if seen is None else max(0, self._number - seen)
            kept = min(fresh, len(self._newest))
            seconds = list(self._seconds) if seen is None else list(islice(reversed(self._seconds), 3))[::-1]
            return {
                "number": self._number,
                "missed": 0 if seen is None else fresh - kept,
                "arrivals": list(islice(self._newest, len(self._newest) - kept, None)),
                "totals": dict(self._totals),
                "kinds": dict(self._kinds),
                "seconds": [[second, dict(counts)] for second, counts in seconds],
                "peers": list(self._shown_peers()),
                "feed": self._state,
                "lost": self._lost,
            }

    def _shown_peers(self) -> Iterator[dict[str, Any]]:
        """Those that say most, first."""
        ranked = sorted(self._peers.values.items(), key=lambda each: -each[1].counts.total())
        for node_id, peer in ranked[:SHOWN_PEERS]:
            yield {
                "id": node_id.hex(),
                "address": replaced(peer.address)[:LONGEST_TEXT],
                "incoming": peer.incoming,
                "connected": peer.connected,
                "counts": dict(peer.counts),
                "last_ms": peer.last_ns // 1_000_000,
            }


def _shown(number: int, kind: str, message: Gossip) -> dict[str, Any]:
    scid = message.short_channel_id
    return {
        "number": number,
        "ms": message.time_ns // 1_000_000,
        "kind": kind,
        "outcome": message.outcome,
        "reason": replaced(message.reason)[:LONGEST_TEXT],
        "peer": message.node_id.hex() if message.node_id is not None else None,
        "scid": None if scid is None else scid_to_text(scid),
        "direction": message.direction,
        "about": message.about.hex() if message.about is not None else None,
        "size": message.size or len(message.raw),
    }
