"""What is said on the feed, and when: nothing is made for a topic without subscribers. Knows no socket.

The caller looks at `gossip`, `map`, `sent` or `pings` first, one attribute: with no subscriber that is all the cost.
An arrival whose signature has to be checked is kept until `settled` says what became of it.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from gossipd.publish.batches import Batches
from gossipd.publish.packing import (
    ARRIVAL_KEYS,
    SENT_KEYS,
    Packing,
    batched_arrival,
    batched_message,
    batched_sent,
    fields,
    pack_message,
)
from gossipd.verdict import REASONS, Verdict
from wire.bus import feed
from wire.bus.feed import (
    GOSSIP_2_TOPICS,
    GOSSIP_TOPICS,
    PEER_CONNECTED,
    PEER_DISCONNECTED,
    PEER_PING,
    PEER_PONG,
    SENT_TOPICS,
    TOPICS,
    Direction,
    Outcome,
)
from wire.bus.feed_batches import BATCHES, QUESTION, batched_topics_of
from wire.control.control_wire import FeedPeerConnected, FeedPeerDisconnected, FeedPeersWanted, PeerInfo
from wire.peer_wire import Ping, Pong, decode

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
_TOPIC_OF = dict(enumerate(GOSSIP_TOPICS)) | {number & 0xFF: topic for number, topic in GOSSIP_2_TOPICS.items()}
"""By the second byte of the message type; the first is 1."""
_SENT_OF = {bytes([1, low]): topic for low, topic in enumerate(SENT_TOPICS)}
_PUBLISHED = (*TOPICS, *BATCHES)
_QUESTION = QUESTION.encode()
_PONG_HEAD = 4
"""Bytes of a pong before those that were asked for."""
_CHECKING = Verdict.CHECKING
_NOBODY = fields({"node_id": None, "conn_id": None, "incoming": None, "phase": None})
MOST_SENDERS = 10_000
"""Connections that are kept packed, 150 bytes each."""
NOT_JUDGED = "gossip v2 is not judged yet"


def outcome_of(verdict: Verdict) -> Outcome:
    """How the feed calls the verdict of the cheap checks."""
    return _OUTCOMES.get(verdict, Outcome.REJECTED)


def _became(outcome: Outcome, reason: str) -> bytes:
    return fields({"outcome": outcome.value, "reason": reason})


_BECAME = {verdict: _became(outcome_of(verdict), REASONS.get(verdict, "")) for verdict in Verdict}
_SETTLED = {outcome: _became(outcome, "") for outcome in Outcome}


class Feed:
    """Counts, packs, and hands over to `send` what is subscribed to. `epoch` begins with it."""

    def __init__(self, send: Send, now_ns: Callable[[], int] = time.time_ns, vantage: str = "") -> None:
        self.gossip = self.map = self.peers = self.sent = self.pings = False
        """Taken are arrivals; changes of the map; connections that come and go; what goes out; pings and pongs."""
        self.on_peers: Callable[[], None] = lambda: None
        """Called once, when `peers` begins to be so."""
        self.sender_of: Callable[[int], PeerInfo | None] = lambda conn_id: None
        """What is known of the connection; None for what is our own."""
        self.read_at_of: Callable[[int], int] = lambda conn_id: 0
        """When what is being heard of the connection had arrived, unix nanoseconds; 0 if that is not known."""
        self.phase_of: Callable[[int], str] = lambda conn_id: "live"
        """Whether the connection is still in its first sync."""
        self.on_taken: Callable[[], None] = lambda: None
        """Called when other topics are subscribed to than before."""
        self.send = send
        self.lost: Callable[[], int] = lambda: 0
        """How many messages `send` has left out."""
        self.tell_master: Callable[[str, bytes], bool] = lambda topic, body: False
        """Gets what the master takes: whether that has room for it."""
        self.lost_to_master = 0
        self._now_ns = now_ns
        self._packing = Packing(vantage, now_ns())
        self.batches = Batches(lambda topic, body: self.send(topic, body), self._packing, now_ns)
        self._prefixes: set[bytes] = set()
        self._of_subscribers: frozenset[str] = frozenset()
        self._of_batches: frozenset[str] = frozenset()
        self._of_master: frozenset[str] = frozenset()
        self._singly: frozenset[str] = frozenset()
        """What is said a message at a time;"""
        self._taken: frozenset[str] = frozenset()
        """and with what is said in batches."""
        self._seq = dict.fromkeys(TOPICS, 0)
        self._arrivals: dict[bytes, tuple[int, bytes]] = {}
        """Messages whose signatures are being checked, when they came and from whom: as many as that stage holds."""
        self._senders: dict[tuple[int, str], bytes] = {}

    @property
    def topics_taken(self) -> int:
        """How many topics are subscribed to."""
        return len(self._of_subscribers | self._of_batches)

    def subscribed(self, prefix: bytes, *, wanted: bool) -> None:
        """The first subscriber of this prefix has come, or its last one has gone."""
        if prefix.startswith(_QUESTION):
            if wanted:
                self.batches.answer(prefix)
            return
        if not wanted:
            self._prefixes.discard(prefix)
        elif any(topic.encode().startswith(prefix) for topic in _PUBLISHED):  # others could only pile up here
            self._prefixes.add(prefix)
        self._of_subscribers = feed.topics_of(self._prefixes)
        self._of_batches = batched_topics_of(self._prefixes)
        self._take()

    def taken_by_master(self, topics: Iterable[str]) -> None:
        """The master wants these from now on, and no others."""
        self._of_master = frozenset(topics)
        self._take()

    def _take(self) -> None:
        self._singly = self._of_subscribers | self._of_master
        taken = self._singly | self._of_batches
        for topic in taken - self._taken:
            if self._seq[topic]:
                self._seq[topic] += 1  # it was not counted meanwhile: an earlier subscriber must see a gap
        self._taken = taken
        self.gossip, self.map, self.sent = (
            any(topic.startswith(kind) for topic in taken) for kind in ("gossip.", "map.", "sent.")
        )
        before, self.peers = self.peers, PEER_CONNECTED in taken or PEER_DISCONNECTED in taken
        if self.peers and not before:
            self.on_peers()
            self.on_peers = lambda: None
        self.pings = PEER_PING in taken or PEER_PONG in taken
        if not self.gossip:
            self._arrivals.clear()
        self._senders.clear()
        self.on_taken()

    def say(self, topic: str, time_ns: int = 0, /, **values: Any) -> None:
        """Publish, if the topic is taken. `values` as `wire.bus.feed` declares them; `time_ns`: then instead of now."""
        if topic in self._taken:
            seq = self._seq[topic] = self._seq[topic] + 1
            at = time_ns or self._now_ns()
            if topic in self._of_batches:
                self.batches.add(topic, batched_message(topic, seq, at, values))
            if topic in self._singly:
                self._publish(topic, self._packing.encode(seq, at, values))

    def _publish(self, topic: str, body: bytes) -> None:
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

    def stamp(self, conn_id: int) -> int:
        """When what is being heard of the connection had arrived, if arrivals are subscribed to; else 0."""
        return (self.read_at_of(conn_id) or self._now_ns()) if self.gossip else 0

    def arrived(self, message: bytes, source: int, verdict: Verdict) -> None:
        """The cheap checks are done. `source` is a conn_id, or 0 for what is our own."""
        topic = _TOPIC_OF[message[1]]
        if topic not in self._taken:
            return
        at = self.stamp(source)
        if verdict is _CHECKING:
            self._arrivals[message] = at, self._sender(source)
        else:
            self._say_arrival(topic, message, self._packing.message, at, self._sender(source), _BECAME[verdict])

    def refused(self, message: bytes, source: int, reason: str) -> None:
        """A message is malformed, or its sender is not listened to."""
        self.judged(message, source, Outcome.REJECTED, reason)

    def judged(self, message: bytes, source: int, outcome: Outcome, reason: str) -> None:
        """A message's fate was decided as soon as it came."""
        topic = _TOPIC_OF[message[1]]
        if topic in self._taken:
            at, sender = self.stamp(source), self._sender(source)
            self._say_arrival(topic, message, self._packing.message, at, sender, _became(outcome, reason))

    def settled(self, message: bytes, outcome: Outcome, reason: str = "") -> None:
        """What became of a message after its signature check. The first word counts: later ones are the map's."""
        arrival = self._arrivals.pop(message, None)
        if arrival is not None and (topic := _TOPIC_OF[message[1]]) in self._taken:
            became = _became(outcome, reason) if reason else _SETTLED[outcome]
            self._say_arrival(topic, message, pack_message, *arrival, became)  # not kept: most of it comes once

    def _say_arrival(
        self, topic: str, message: bytes, pack: Callable[[bytes], bytes], time_ns: int, sender: bytes, became: bytes
    ) -> None:
        seq = self._seq[topic] = self._seq[topic] + 1
        if topic in self._of_batches:
            self.batches.add(topic, batched_arrival(topic, seq, time_ns, sender, became, message))
        if topic in self._singly:
            head = self._packing.head(ARRIVAL_KEYS, seq, time_ns)
            self._publish(topic, b"".join((head, sender, became, pack(message))))

    def _sender(self, source: int) -> bytes:
        """Four keys of the connection, packed."""
        if not source:
            return _NOBODY
        known = source, self.phase_of(source)
        packed = self._senders.get(known)
        if packed is None:
            if len(self._senders) >= MOST_SENDERS:
                self._senders.clear()
            packed = self._senders[known] = self._pack_sender(*known)
        return packed

    def _pack_sender(self, source: int, phase: str) -> bytes:
        info = self.sender_of(source)
        return _NOBODY if info is None else fields(_connection(info) | {"phase": phase})

    # what goes out, pings and pongs

    def say_sent(self, info: PeerInfo, messages: Iterable[bytes]) -> None:
        """These go out to a peer; of them those that are gossip are said."""
        connection, now = fields(_connection(info)), self._now_ns()
        packing = self._packing
        for message in messages:
            if (topic := _SENT_OF.get(message[:2], "")) in self._taken:
                seq = self._seq[topic] = self._seq[topic] + 1
                if topic in self._of_batches:
                    self.batches.add(topic, batched_sent(topic, seq, now, connection, message))
                if topic in self._singly:
                    body = packing.head(SENT_KEYS, seq, now) + connection + packing.message(message)
                    self._publish(topic, body)

    def heard_ping(self, info: PeerInfo, pong: bytes) -> None:
        """A ping, which this pong of ours answers."""
        size = len(pong) - _PONG_HEAD
        self.say_ping(info, "in", size)
        self.say_pong(info, "out", size)

    def heard_answer(self, info: PeerInfo, message: bytes, rtt_ns: int | None) -> None:
        """A ping that wants no pong, or a pong, `rtt_ns` after its ping; no other message counts."""
        match decode(message):
            case Ping(num_pong_bytes=wanted):
                self.say_ping(info, "in", wanted)
            case Pong(ignored=ignored):
                self.say_pong(info, "in", len(ignored), rtt_ns)

    def say_ping(self, info: PeerInfo, direction: Direction, size: int) -> None:
        """A ping that asks for so many bytes."""
        self.say(PEER_PING, self._at(info, direction), **_connection(info), dir=direction, size=size)

    def say_pong(self, info: PeerInfo, direction: Direction, size: int, rtt_ns: int | None = None) -> None:
        """A pong of so many bytes. `rtt_ns`: from its ping until it was heard; what it has waited here is taken off."""
        at = self._at(info, direction)
        if rtt_ns is not None and at:
            rtt_ns = max(0, rtt_ns - max(0, self._now_ns() - at))
        self.say(PEER_PONG, at, **_connection(info), dir=direction, size=size, rtt_ns=rtt_ns)

    def _at(self, info: PeerInfo, direction: Direction) -> int:
        return self.read_at_of(info.conn_id) if direction == "in" else 0


def _connection(info: PeerInfo) -> dict[str, Any]:
    return {"node_id": info.node_id, "conn_id": info.conn_id, "incoming": info.incoming}


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
        to.say(PEER_DISCONNECTED, message.time_ns, **gone)
        return
    peer = message.peer
    to.say(
        PEER_CONNECTED,
        message.time_ns,
        node_id=peer.node_id,
        conn_id=peer.conn_id,
        address=peer.address,
        incoming=peer.incoming,
        features=peer.features,
    )
