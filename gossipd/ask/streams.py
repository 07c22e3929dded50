"""The peers that can be asked, and their streams: which of them tells us everything, news or nothing.

As many as the operator wants stream what is new. When there are more peers than that, those that stream are to be of
many networks and of both directions: now and then one of the network that most of them are in, the one that tells us
least, makes room for one of a network that few are in. A connection is ended if only the stream of a new one can bring
what is lacking.
"""

import random
from collections import Counter
from typing import NamedTuple, Protocol

from wire.control.timing import Timing
from wire.features import Features
from wire.peer_wire import GossipTimestampFilter
from wire.start.late_dataclass import dataclass

EVERYTHING = (0, 0xFFFFFFFF)
NOTHING = (0xFFFFFFFF, 0)
ROTATED = 10
"""Of so many that stream one is replaced at a time, and one of fewer."""
LONGEST_RENEWAL = 86_400.0
"""Seconds between two connections that are ended because no peer answers queries, which double each time, at most."""


class Place(NamedTuple):
    """Where a peer is: its network (`wire.address.network_group`), and whether it has dialled us."""

    group: str
    incoming: bool


@dataclass(slots=True, eq=False)
class Asked:
    """A peer that can be asked."""

    conn_id: int
    place: Place
    offers_queries: bool
    extended: bool
    filter: tuple[int, int] = NOTHING
    mute: bool = False
    """A query was left unanswered: LDK does that, for channels. Its stream may be good all the same."""
    hides_range: bool = False
    """The same of a query_channel_range: other peers are compared with first."""
    unbelieved_until: float = 0.0
    """Channels that it named in updates were not to be had from it: it is not asked for such any more, for a while."""
    novel_before: int = 0
    contests_asked: int = 0
    """Up to the opening of this number it was asked about contested channels (witnesses.py)."""
    next_contests: float = 0.0
    """When it may be asked about them again."""


class Around(Protocol):
    """What the room needs of its daemon."""

    chain_hash: bytes

    def now(self) -> float:
        """Unix seconds, for what is said in messages."""

    def clock(self) -> float:
        """Seconds that do not jump, for all that lasts."""

    @property
    def suspended(self) -> bool:
        """Nothing can be taken in: the disk is full."""

    @property
    def novel(self) -> dict[int, int]:
        """How many messages that were new each connection has brought, by conn_id."""

    def sync_begins(self, conn_id: int) -> None:
        """A peer is asked for all that it has."""

    def seek(self, conn_id: int, message: bytes) -> None:
        """Send a message of the seeker's to a peer."""

    def renew(self, conn_id: int) -> bool:
        """End this connection, so that the peer connects again; False if it belongs to another owner."""


class Streams:
    """The peers by conn_id, with the filters that we have given them."""

    def __init__(self, around: Around, timing: Timing, chance: random.Random, most: int) -> None:
        """`most`: how many may stream what is new; 0 for all."""
        self.peers: dict[int, Asked] = {}
        self._most = most
        self._streaming: set[int] = set()
        """Those whose filter is not NOTHING."""
        self._one_left = False
        """One of them has left, and another may take its place."""
        self._around = around
        self._timing = timing
        self._chance = chance
        clock = around.clock()
        self._next_rotation = clock + timing.gossiper_rotation
        self._next_renewal, self._renewal_interval = clock + timing.gossip_renewal, timing.gossip_renewal
        self._nothing_helps = False
        self._next_streams_all = False
        """Something is lacking that only a new connection's stream can bring."""

    def add(self, conn_id: int, features: bytes, place: Place) -> Asked:
        """A peer came."""
        offered = Features(features)
        peer = Asked(conn_id, place, offered.offers("gossip_queries"), offered.offers("gossip_queries_ex"))
        self.peers[conn_id] = peer
        return peer

    def go_on(self, peer: Asked, has: tuple[int, int]) -> None:
        """The peer has this filter from an earlier gossipd; one that streams nothing may yet be wanted."""
        self._note(peer, has)
        self._one_left = True

    def remove(self, conn_id: int) -> None:
        """A peer is gone."""
        self.peers.pop(conn_id, None)
        self._around.novel.pop(conn_id, None)
        if conn_id in self._streaming:
            self._streaming.discard(conn_id)
            self._one_left = True

    def clear(self) -> None:
        """All go to another gossipd."""
        self.peers.clear()
        self._streaming.clear()

    @property
    def answering(self) -> list[Asked]:
        """The peers that offer queries."""
        return [peer for peer in self.peers.values() if peer.offers_queries]

    def set_filter(self, peer: Asked, wanted: tuple[int, int]) -> None:
        """Tell the peer what we want to hear (B7-99)."""
        self._note(peer, wanted)
        if wanted == EVERYTHING:
            self._around.sync_begins(peer.conn_id)
        self._around.seek(peer.conn_id, GossipTimestampFilter(self._around.chain_hash, *wanted).encode())

    def _note(self, peer: Asked, wanted: tuple[int, int]) -> None:
        peer.filter = wanted
        if wanted == NOTHING:
            self._streaming.discard(peer.conn_id)
        else:
            self._streaming.add(peer.conn_id)

    @property
    def news(self) -> tuple[int, int]:
        """The filter for what comes from now on."""
        return int(self._around.now()), 0xFFFFFFFF

    def give_filter(self, peer: Asked) -> None:
        """Its first one, if it is not to be the streamer."""
        if peer.offers_queries and self._next_streams_all:
            self._next_streams_all = False
            self.set_filter(peer, EVERYTHING)
        elif peer.offers_queries and self._room:
            self.set_filter(peer, self.news)
        else:
            self.set_filter(peer, NOTHING)

    @property
    def _room(self) -> int:
        """How many more may stream. No look at each: every peer that comes is a reason to ask."""
        return (self._most or len(self.peers) + 1) - len(self._streaming)

    def tick(self) -> None:
        """Rotate and renew when it is time. Not before: a peer that is being heard must not be closed by what it
        says."""
        clock = self._around.clock()
        if self._one_left:
            self._one_left = False
            self._fill(self._silent() if self._room > 0 else [])
        if clock >= self._next_rotation:
            self._next_rotation = clock + self._timing.gossiper_rotation
            self._rotate()
        if self._nothing_helps:
            self._nothing_helps = False
            if clock >= self._next_renewal:
                self._renew_one(clock)

    def _rotate(self) -> None:
        """Of the peers that stream, some make room for others that do not."""
        novel = self._around.novel
        for gone in novel.keys() - self.peers.keys():
            del novel[gone]  # what it had sent was still in the pipeline when it left
        others = self._silent()
        for _ in range(min(len(others), max(1, self._most // ROTATED)) - max(0, self._room)):
            self.set_filter(self._least_use(), NOTHING)
        self._fill(others)
        for conn_id in self._streaming:
            self.peers[conn_id].novel_before = novel.get(conn_id, 0)

    def _silent(self) -> list[Asked]:
        """Those that could stream and do not, in any order."""
        silent = [peer for peer in self.answering if peer.filter == NOTHING]
        self._chance.shuffle(silent)
        return silent

    def _fill(self, others: list[Asked]) -> None:
        """Let some of these stream while there is room, of networks that few are in first."""
        crowd = self._crowd()
        while others and self._room > 0:
            chosen = min(others, key=lambda peer: _crowded(peer, crowd))
            others.remove(chosen)
            self.set_filter(chosen, self.news)
            crowd.update(chosen.place)

    def _least_use(self) -> Asked:
        """Of those in the network that most are in, the one that has told us least since the last rotation."""
        crowd, novel = self._crowd(), self._around.novel

        def use(peer: Asked) -> tuple[int, int, int]:
            group, direction = _crowded(peer, crowd)
            return -group, -direction, novel.get(peer.conn_id, 0) - peer.novel_before

        return min((self.peers[conn_id] for conn_id in self._streaming), key=use)

    def _crowd(self) -> Counter[str | bool]:
        """How many stream of each network, and of each direction."""
        return Counter(word for conn_id in self._streaming for word in self.peers[conn_id].place)

    def ask_for_everything(self, lacks_channels: bool) -> None:
        """No peer answers queries: all stream everything; if they do already, a connection has to be renewed, though
        not for nodes only.
        """
        streaming = self.answering
        others = [peer for peer in streaming if peer.filter != EVERYTHING]
        for peer in others:
            self.set_filter(peer, EVERYTHING)
        self._nothing_helps = lacks_channels and bool(streaming) and not others

    def _renew_one(self, clock: float) -> None:
        self._next_renewal = clock + self._renewal_interval
        self._renewal_interval = min(2 * self._renewal_interval, LONGEST_RENEWAL)
        self._next_streams_all = True
        streaming = [peer.conn_id for peer in self.answering]
        self._chance.shuffle(streaming)
        any(map(self._around.renew, streaming))


def _crowded(peer: Asked, crowd: Counter[str | bool]) -> tuple[int, int]:
    """How many stream of the peer's network, and of its direction."""
    return crowd[peer.place.group], crowd[peer.place.incoming]
