"""The peers that can be asked, and their streams: which of them tells us everything, news or nothing.

Up to GOSSIPERS stream what is new; the one that tells us least is now and then replaced. A connection is ended if only
the stream of a new one can bring what is lacking.
"""

import random
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from wire.control.timing import Timing
from wire.features import Features
from wire.peer_wire import GossipTimestampFilter

EVERYTHING = (0, 0xFFFFFFFF)
NOTHING = (0xFFFFFFFF, 0)
GOSSIPERS = 10
"""Peers that stream to us at a time (CLN's figure)."""
LONGEST_RENEWAL = 86_400.0
"""Seconds between two connections that are ended because no peer answers queries, which double each time, at most."""


@dataclass(slots=True, eq=False)
class Asked:
    """A peer that can be asked."""

    conn_id: int
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

    def seek(self, conn_id: int, message: bytes) -> None:
        """Send a message of the seeker's to a peer."""

    def renew(self, conn_id: int) -> bool:
        """End this connection, so that the peer connects again; False if it belongs to another owner."""


class Streams:
    """The peers by conn_id, with the filters that we have given them."""

    def __init__(self, around: Around, timing: Timing, chance: random.Random) -> None:
        self.peers: dict[int, Asked] = {}
        self._around = around
        self._timing = timing
        self._chance = chance
        clock = around.clock()
        self._next_rotation = clock + timing.gossiper_rotation
        self._next_renewal, self._renewal_interval = clock + timing.gossip_renewal, timing.gossip_renewal
        self._nothing_helps = False
        self._next_streams_all = False
        """Something is lacking that only a new connection's stream can bring."""

    def add(self, conn_id: int, features: bytes) -> Asked:
        """A peer came."""
        offered = Features(features)
        peer = Asked(conn_id, offered.offers("gossip_queries"), offered.offers("gossip_queries_ex"))
        self.peers[conn_id] = peer
        return peer

    def remove(self, conn_id: int) -> None:
        """A peer is gone."""
        self.peers.pop(conn_id, None)
        self._around.novel.pop(conn_id, None)

    @property
    def answering(self) -> list[Asked]:
        """The peers that offer queries."""
        return [peer for peer in self.peers.values() if peer.offers_queries]

    def set_filter(self, peer: Asked, wanted: tuple[int, int]) -> None:
        """Tell the peer what we want to hear (B7-99)."""
        peer.filter = wanted
        self._around.seek(peer.conn_id, GossipTimestampFilter(self._around.chain_hash, *wanted).encode())

    @property
    def news(self) -> tuple[int, int]:
        """The filter for what comes from now on."""
        return int(self._around.now()), 0xFFFFFFFF

    def give_filter(self, peer: Asked) -> None:
        """Its first one, if it is not to be the streamer."""
        if peer.offers_queries and self._next_streams_all:
            self._next_streams_all = False
            self.set_filter(peer, EVERYTHING)
        elif peer.offers_queries and self._needs_gossiper():
            self.set_filter(peer, self.news)
        else:
            self.set_filter(peer, NOTHING)

    def _needs_gossiper(self) -> bool:
        """Looks at no more peers than it must: each that comes is a reason to ask."""
        streaming = (peer for peer in self.peers.values() if peer.filter != NOTHING)
        return len(list(islice(streaming, GOSSIPERS))) < GOSSIPERS

    def tick(self) -> None:
        """Rotate and renew when it is time. Not before: a peer that is being heard must not be closed by what it
        says."""
        clock = self._around.clock()
        if clock >= self._next_rotation:
            self._next_rotation = clock + self._timing.gossiper_rotation
            self._rotate()
        if self._nothing_helps:
            self._nothing_helps = False
            if clock >= self._next_renewal:
                self._renew_one(clock)

    def _rotate(self) -> None:
        """Of the peers that stream, the one that has told us least makes room for one that does not."""
        for gone in self._around.novel.keys() - self.peers.keys():
            del self._around.novel[gone]  # what it had sent was still in the pipeline when it left
        streaming = [peer for peer in self.peers.values() if peer.filter != NOTHING]
        others = [peer for peer in self.answering if peer.filter == NOTHING]
        if others and len(streaming) >= GOSSIPERS:
            worst = min(streaming, key=lambda peer: self._around.novel.get(peer.conn_id, 0) - peer.novel_before)
            self.set_filter(worst, NOTHING)
        if others and self._needs_gossiper():
            self.set_filter(self._chance.choice(others), self.news)
        for peer in streaming:
            peer.novel_before = self._around.novel.get(peer.conn_id, 0)

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
