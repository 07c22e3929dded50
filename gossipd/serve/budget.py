"""How much of the map is served: bytes a second for each peer and for all together, in token buckets.

Streams and answers to queries pay, for they are what a peer gets in bulk for a short message; for what is looked at and
not sent, too, for a filter that matches nothing is work all the same. Pongs, warnings and
what is our own are never held back. Time is an argument, in seconds.
"""

from typing import Protocol

from gossipd.feed import SILENT, Feed
from wire.control.control_wire import PeerInfo
from wire.metrics.tally import Tally

QUANTUM = 32_768
"""Bytes that are sent at a time where the rate allows so much in a second."""
PASSED_OVER = 4
"""So many bytes of the store that are looked at cost as much as one that is sent, wanted or not."""


class Puller(Protocol):
    """The part of a Peer that this is about."""

    work: int
    """What the last `pull_paid` cost besides what it gave, in bytes."""

    @property
    def info(self) -> PeerInfo:
        """Who it is."""

    @property
    def has_free(self) -> bool:
        """Whether `pull_free` would give something."""

    def pull_free(self, budget: int) -> list[bytes]:
        """Messages that do not count."""

    def pull_paid(self, budget: int) -> list[bytes]:
        """Gossip that was asked for."""


class Bucket:
    """Two seconds' worth of bytes at most, filled at `rate` bytes a second. It may be overdrawn by one message."""

    __slots__ = ("_at", "_quantum", "_rate", "_tokens")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._quantum = min(QUANTUM, rate)
        self._tokens = 2.0 * rate
        self._at = now

    def _fill(self, now: float) -> None:
        self._tokens = min(2.0 * self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now

    def wait(self, now: float) -> float:
        """Seconds until something may be sent; 0 if it may be now."""
        self._fill(now)
        return max(0.0, (self._quantum - self._tokens) / self._rate)

    def take(self, size: int) -> None:
        """So many bytes have been sent."""
        self._tokens -= size


class Budget:
    """The buckets of all peers that are served, by conn_id, and the common one. A rate of 0 is none."""

    def __init__(self, peer_rate: int, total_rate: int, tally: Tally, feed: Feed = SILENT) -> None:
        """`tally` counts what is said, `feed` tells it."""
        self._tally = tally
        self._feed = feed
        self._peer_rate = peer_rate
        self._total = Bucket(total_rate, 0.0) if total_rate else None
        self._peers: dict[int, Bucket] = {}

    def change(self, peer_rate: int, total_rate: int, now: float) -> None:
        """Other rates from now on: each bucket begins again."""
        self._peer_rate = peer_rate
        self._total = Bucket(total_rate, now) if total_rate else None
        self._peers.clear()

    def _buckets(self, conn_id: int, now: float) -> list[Bucket]:
        buckets = [self._total] if self._total is not None else []
        if self._peer_rate:
            if conn_id not in self._peers:
                self._peers[conn_id] = Bucket(self._peer_rate, now)
            buckets.append(self._peers[conn_id])
        return buckets

    def wait(self, conn_id: int, now: float) -> float:
        """Seconds until the gossip that this peer has asked for may go on; 0 if it may now."""
        return max((bucket.wait(now) for bucket in self._buckets(conn_id, now)), default=0.0)

    def pull(self, conn_id: int, peer: Puller, most: int, now: float) -> list[bytes]:
        """What the peer is to be told next, `most` bytes or a little more; nothing that has to wait for its budget."""
        if peer.has_free:
            messages = peer.pull_free(most)
            self._tally.said(messages)
            if self._feed.sent:
                self._feed.say_sent(peer.info, messages)
            return messages
        buckets = self._buckets(conn_id, now)
        if any(bucket.wait(now) for bucket in buckets):
            return []
        messages = peer.pull_paid(most)
        self._tally.said_gossip(messages)
        if self._feed.sent:
            self._feed.say_sent(peer.info, messages)
        for bucket in buckets:
            bucket.take(max(sum(map(len, messages)), peer.work))
        return messages

    def forget(self, conn_id: int) -> None:
        """The peer has left."""
        self._peers.pop(conn_id, None)
