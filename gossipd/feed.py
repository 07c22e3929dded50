"""What is said on the feed, and when: nothing is made for a topic without subscribers. Knows no socket.

The caller looks at `gossip` or `map` first, one attribute: with no subscriber that is all the cost.
An arrival whose signature has to be checked is kept until `settled` says what became of it.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from gossipd.verdict import REASONS, Verdict
from wire.bus import feed
from wire.bus.feed import TOPICS, Outcome
from wire.control.control_wire import FeedPeerConnected, FeedPeerDisconnected, FeedPeersWanted, PeerInfo

Send = Callable[[bytes, bytes], None]
"""Gets the two frames of a message."""

_OUTCOMES = {
    Verdict.REDUNDANT: Outcome.REDUNDANT,
    Verdict.WAITING: Outcome.WAITING,
    Verdict.HELD: Outcome.WAITING,
    Verdict.OWED: Outcome.OWED,
    Verdict.FULL: Outcome.OWED,
}
"""All other verdicts are refusals."""


def outcome_of(verdict: Verdict) -> Outcome:
    """How the feed calls the verdict of the cheap checks."""
    return _OUTCOMES.get(verdict, Outcome.REJECTED)


class Feed:
    """Counts, encodes, and hands over to `send` what is subscribed to."""

    def __init__(self, send: Send, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.gossip = False
        """Arrivals are subscribed to."""
        self.map = False
        """Changes of the map are subscribed to."""
        self.peers = False
        """Connections that come and go are subscribed to."""
        self.on_peers: Callable[[], None] = lambda: None
        """Called once, when they begin to be."""
        self.sender_of: Callable[[int], PeerInfo | None] = lambda conn_id: None
        """What is known of the connection; None for what is our own."""
        self.send = send
        self.lost: Callable[[], int] = lambda: 0
        """How many messages `send` has left out."""
        self.tell_master: Callable[[str, bytes], bool] = lambda topic, body: False
        """Gets what the master takes: whether that has room for it."""
        self.lost_to_master = 0
        self._now_ns = now_ns
        self._prefixes: set[bytes] = set()
        self._of_subscribers: frozenset[str] = frozenset()
        self._of_master: frozenset[str] = frozenset()
        self._taken: frozenset[str] = frozenset()
        self._seq = dict.fromkeys(TOPICS, 0)
        self._arrivals: dict[bytes, tuple[int, PeerInfo | None]] = {}
        """Messages whose signatures are being checked: as many as that stage holds."""

    @property
    def topics_taken(self) -> int:
        """How many topics are subscribed to."""
        return len(self._of_subscribers)

    def subscribed(self, prefix: bytes, *, wanted: bool) -> None:
        """The first subscriber of this prefix has come, or its last one has gone."""
        if not wanted:
            self._prefixes.discard(prefix)
        elif any(topic.encode().startswith(prefix) for topic in TOPICS):  # others could only pile up here
            self._prefixes.add(prefix)
        self._of_subscribers = frozenset(topic for topic in TOPICS if topic.encode().startswith(tuple(self._prefixes)))
        self._take()

    def taken_by_master(self, topics: Iterable[str]) -> None:
        """The master wants these from now on, and no others."""
        self._of_master = frozenset(topics)
        self._take()

    def _take(self) -> None:
        taken = self._of_subscribers | self._of_master
        for topic in taken - self._taken:
            if self._seq[topic]:
                self._seq[topic] += 1  # it was not counted meanwhile: an earlier subscriber must see a gap
        self._taken = taken
        self.gossip = any(topic.startswith("gossip.") for topic in taken)
        self.map = any(topic.startswith("map.") for topic in taken)
        before, self.peers = self.peers, any(topic.startswith("peer.") for topic in taken)
        if self.peers and not before:
            self.on_peers()
            self.on_peers = lambda: None
        if not self.gossip:
            self._arrivals.clear()

    def say(self, topic: str, time_ns: int = 0, /, **fields: Any) -> None:
        """Publish, if the topic is taken. `fields` as `wire.bus.feed` declares them; `time_ns`: then instead of now."""
        if topic in self._taken:
            seq = self._seq[topic] = self._seq[topic] + 1
            body = feed.encode(seq, time_ns or self._now_ns(), fields)
            if topic in self._of_subscribers:
                self.send(topic.encode(), body)
            if topic in self._of_master:
                self.lost_to_master += not self.tell_master(topic, body)

    def counts(self) -> list[tuple[str, int]]:
        """How many messages each topic had, for another gossipd."""
        return list(self._seq.items())

    def go_on(self, counts: list[tuple[str, int]]) -> None:
        """Count on from there: a subscriber sees what it missed meanwhile."""
        self._seq |= {topic: count + 1 for topic, count in counts if topic in self._seq and count}

    # arrivals

    def arrived(self, message: bytes, source: int, verdict: Verdict) -> None:
        """The cheap checks are done. `source` is a conn_id, or 0 for what is our own."""
        if feed.GOSSIP_TOPICS[message[1]] not in self._taken:
            return
        if verdict is Verdict.CHECKING:
            self._arrivals[message] = (self._now_ns(), self.sender_of(source))
        else:
            self._say_arrival(message, 0, self.sender_of(source), outcome_of(verdict), REASONS.get(verdict, ""))

    def refused(self, message: bytes, source: int, reason: str) -> None:
        """A message is malformed, or its sender is not listened to."""
        self._say_arrival(message, 0, self.sender_of(source), Outcome.REJECTED, reason)

    def settled(self, message: bytes, outcome: Outcome, reason: str = "") -> None:
        """What became of a message after its signature check. The first word counts: later ones are the map's."""
        arrival = self._arrivals.pop(message, None)
        if arrival is not None:
            self._say_arrival(message, *arrival, outcome, reason)

    def _say_arrival(
        self, message: bytes, time_ns: int, sender: PeerInfo | None, outcome: Outcome, reason: str
    ) -> None:
        self.say(
            feed.GOSSIP_TOPICS[message[1]],
            time_ns,
            node_id=sender.node_id if sender else None,
            conn_id=sender.conn_id if sender else None,
            incoming=sender.incoming if sender else None,
            outcome=outcome,
            reason=reason,
            raw=message,
        )


def unheard(topic: bytes, body: bytes) -> None:
    """Hears what is published without a socket."""


SILENT = Feed(unheard)
"""Where there is no feed: nothing is ever subscribed to."""


def say_peer(
    to: Feed, message: FeedPeerConnected | FeedPeerDisconnected, tell: Callable[[FeedPeersWanted], None]
) -> None:
    """A connection has come, or has ended, at any owner. `tell` tells the master whether that has to be said."""
    if not to.peers:
        to.on_peers = lambda: tell(FeedPeersWanted(wanted=True))
        tell(FeedPeersWanted(wanted=False))
        return
    if isinstance(message, FeedPeerDisconnected):
        gone = {"node_id": message.node_id, "conn_id": message.conn_id, "reason": message.reason}
        to.say(feed.PEER_DISCONNECTED, message.time_ns, **gone)
        return
    peer = message.peer
    to.say(
        feed.PEER_CONNECTED,
        message.time_ns,
        node_id=peer.node_id,
        conn_id=peer.conn_id,
        address=peer.address,
        incoming=peer.incoming,
        features=peer.features,
    )
