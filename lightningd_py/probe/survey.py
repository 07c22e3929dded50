"""What several peers list and give, without sockets or clocks: each message with its time comes in, questions go out.

Every announcement is checked by its signatures: what a peer makes up about others' channels is not taken for the map.
What a peer lists is a claim: a channel counts to the map if a peer has given it, or if two peers list it.
"""

import hashlib
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import field
from enum import StrEnum
from typing import TypeVar

from wire.cursor import WireError
from wire.gossip_layout import CHANNEL_SIGNED, SIGNED
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode
from wire.secp256k1 import double_sha256, verify
from wire.start.late_dataclass import dataclass

BATCH = 500
"""Channels in a question."""
MOST_LISTED = 250_000
"""Channels that a peer may list; the network has a fifth of that."""
MOST_FIRST = 250_000
"""Messages of which a peer may be the first to give them."""
K = TypeVar("K")
SHARES = (50, 90, 95, 99)


class Worth(StrEnum):
    """What a message was worth."""

    FIRST = "first"
    REDUNDANT = "redundant"
    WRONG = "wrong"
    """Malformed, of another chain, or a signature does not hold."""
    UNKNOWN = "unknown"
    """An update of a channel that no peer has given."""
    TOO_MANY = "too many"


@dataclass(slots=True)
class Given:
    """One peer. Times in seconds from the beginning; sets and counts of channels unless they say otherwise."""

    target: str
    error: str = ""
    connected: float | None = None
    """How long TCP, Noise and INIT took."""
    ping: float | None = None
    listed: set[int] = field(default_factory=set)
    listed_after: float | None = None
    """How long its list took."""
    overflow: bool = False
    """Whether the list was longer than MOST_LISTED."""
    asked: int = 0
    refused: set[int] = field(default_factory=set)
    """Listed, and not given when they were asked for."""
    answers: list[float] = field(default_factory=list)
    unanswered: int = 0
    worth: Counter[tuple[str, Worth]] = field(default_factory=Counter)
    """(channels, updates or nodes; worth) -> messages."""

    def count(self, worth: Worth, kind: str | None = None) -> int:
        """Messages of this worth, of all kinds or of one."""
        return sum(n for (each, found), n in self.worth.items() if found is worth and kind in (None, each))


class Survey:
    """All peers together. Peers are named by their number."""

    def __init__(self, targets: Iterable[str], chain_hash: bytes) -> None:
        self.peers = [Given(target) for target in targets]
        self.arrivals: list[tuple[float, int]] = []
        """When each channel came first, and from which peer."""
        self.channels: dict[int, tuple[bytes, bytes]] = {}
        """Those given, with the node ids of both ends."""
        self._chain_hash = chain_hash
        self._updates: dict[tuple[int, int], int] = {}
        self._nodes: dict[bytes, int] = {}
        self._hashes: set[bytes] = set()
        self._to_ask: list[deque[int]] = [deque() for _ in self.peers]
        self._asked_now: dict[int, tuple[int, ...]] = {}
        self._in_question: Counter[int] = Counter()

    # what comes

    def lists(self, peer: int, scids: Iterable[int]) -> None:
        """A part of what it says it has."""
        given = self.peers[peer]
        for scid in scids:
            if len(given.listed) >= MOST_LISTED:
                given.overflow = True
                return
            if scid not in given.listed:
                given.listed.add(scid)
                self._to_ask[peer].append(scid)

    def listed_all(self, peer: int, now: float) -> None:
        """That was its list. Peers are asked for different parts of it at first."""
        self.peers[peer].listed_after = now
        self._to_ask[peer].rotate(-len(self._to_ask[peer]) * peer // max(1, len(self.peers)))

    def arrives(self, peer: int, raw: bytes, now: float) -> Worth:
        """A gossip message."""
        kind, worth = self._judge(peer, raw, now)
        self.peers[peer].worth[kind, worth] += 1
        return worth

    def _judge(self, peer: int, raw: bytes, now: float) -> tuple[str, Worth]:
        kind = {256: "channels", 257: "nodes", 258: "updates"}.get(int.from_bytes(raw[:2], "big"), "others")
        digest = hashlib.sha256(raw).digest()
        if digest in self._hashes:
            return kind, Worth.REDUNDANT
        if self.peers[peer].count(Worth.FIRST) >= MOST_FIRST:
            return kind, Worth.TOO_MANY
        try:
            message = decode(raw)
        except WireError:
            return kind, Worth.WRONG
        match message:
            case ChannelAnnouncement():
                worth = self._channel(peer, message, raw, now)
            case ChannelUpdate():
                worth = self._update(message, raw)
            case NodeAnnouncement():
                worth = self._node(message, raw)
            case _:
                worth = Worth.WRONG
        if worth is Worth.FIRST:
            self._hashes.add(digest)
        return kind, worth

    def _channel(self, peer: int, said: ChannelAnnouncement, raw: bytes, now: float) -> Worth:
        digest = double_sha256(raw[CHANNEL_SIGNED:])
        signed = (
            (said.node_signature_1, said.node_id_1),
            (said.node_signature_2, said.node_id_2),
            (said.bitcoin_signature_1, said.bitcoin_key_1),
            (said.bitcoin_signature_2, said.bitcoin_key_2),
        )
        if said.chain_hash != self._chain_hash or not all(verify(digest, *each, again=False) for each in signed):
            return Worth.WRONG
        if said.short_channel_id in self.channels:
            return Worth.REDUNDANT
        self.channels[said.short_channel_id] = said.node_id_1, said.node_id_2
        self.arrivals.append((now, peer))
        return Worth.FIRST

    def _update(self, said: ChannelUpdate, raw: bytes) -> Worth:
        if said.chain_hash != self._chain_hash:
            return Worth.WRONG
        ends = self.channels.get(said.short_channel_id)
        if ends is None:
            return Worth.UNKNOWN
        direction = said.channel_flags & 1
        if not verify(double_sha256(raw[SIGNED:]), said.signature, ends[direction]):
            return Worth.WRONG
        return _newer(self._updates, (said.short_channel_id, direction), said.timestamp)

    def _node(self, said: NodeAnnouncement, raw: bytes) -> Worth:
        if not verify(double_sha256(raw[SIGNED:]), said.signature, said.node_id):
            return Worth.WRONG
        return _newer(self._nodes, said.node_id, said.timestamp)

    # what is asked

    def question(self, peer: int) -> tuple[int, ...]:
        """The channels to ask this peer for now: what it lists, no peer has given, and no other is asked for."""
        queue, found = self._to_ask[peer], []
        for _ in range(len(queue)):
            scid = queue.popleft()
            if self._in_question[scid]:
                queue.append(scid)
            elif scid not in self.channels:
                found.append(scid)
                if len(found) == BATCH:
                    break
        scids = self._asked_now[peer] = tuple(sorted(found))
        self._in_question.update(scids)
        self.peers[peer].asked += len(scids)
        return scids

    def answered(self, peer: int, seconds: float | None) -> None:
        """The answer has ended after so many seconds; None if it never came, or the peer has gone."""
        given, scids = self.peers[peer], self._asked_now.pop(peer, ())
        if not scids:
            return
        self._in_question.subtract(scids)
        if seconds is None:
            given.unanswered += 1
        else:
            given.answers.append(seconds)
            given.refused.update(scid for scid in scids if scid not in self.channels)

    # what came of it

    def map(self) -> set[int]:
        """Channels that were given, or that two peers list; of one peer alone, what it lists."""
        lists = Counter(scid for given in self.peers for scid in given.listed)
        need = min(2, sum(bool(given.listed) for given in self.peers))
        return self.channels.keys() | {scid for scid, count in lists.items() if count >= need}

    def time_to(self, percent: int) -> float | None:
        """Seconds until so much of the map had been given; None if it never was."""
        need = -(-len(self.map()) * percent // 100)
        return self.arrivals[need - 1][0] if 0 < need <= len(self.arrivals) else None


def _newer(known: dict[K, int], key: K, timestamp: int) -> Worth:
    if known.get(key, -1) >= timestamp:
        return Worth.REDUNDANT
    known[key] = timestamp
    return Worth.FIRST
