"""What gossipd does as time passes: the flush of news in steps, and a look at what waits."""

import asyncio
from typing import Protocol

from gossipd.ask.phases import Phases
from gossipd.ask.seeker import Seeker
from gossipd.ingest.pipeline import Ingest
from gossipd.map.keeper import Keeper
from gossipd.own_node import OwnNode
from gossipd.peers.peer import Peer
from gossipd.v2.room import Room
from wire.net.owned_peers import OwnedPeers

SLOTS = 60
"""The flush interval in so many steps: peers are told their news in turn, not all in the same moment."""
LONELY = 10.0
"""Seconds that a proven announcement waits for its first update before it is written without one."""


class Around(Protocol):
    """What ticks need of the daemon."""

    held: bool
    peers: dict[int, Peer]
    owned: OwnedPeers[Peer]
    ingest: Ingest
    seeker: Seeker
    phases: Phases
    keeper: Keeper
    own_node: OwnNode
    gossip_v2: Room

    def pump(self, peer: Peer) -> None:
        """Send soon what waits for a peer, wherever its connection is."""


class Ticks:
    """A timer, from the beginning to `close`."""

    def __init__(self, around: Around, loop: asyncio.AbstractEventLoop, flush: float) -> None:
        """`flush`: seconds in which each peer is told its news once."""
        self._around = around
        self._loop = loop
        self._pause = flush / SLOTS
        self._slot = 0
        self._timer = loop.call_later(self._pause, self._on_timer)

    def close(self) -> None:
        """Do nothing any more."""
        self._timer.cancel()

    def _on_timer(self) -> None:
        """A step of the flush interval: news for the peers whose turn it is (B7-100)."""
        self._timer = self._loop.call_later(self._pause, self._on_timer)
        around = self._around
        if around.held:
            return
        self._slot = (self._slot + 1) % SLOTS
        around.ingest.write_lonely(LONELY)
        around.ingest.tick()
        around.ingest.checks.debt.settle_nodes()
        around.seeker.tick(around.ingest.unfinished)
        around.phases.tick()
        around.keeper.tick()
        around.own_node.tick()
        around.gossip_v2.tick()
        for conn_id, peer in list(around.peers.items()):
            if conn_id % SLOTS == self._slot:
                self._flush(conn_id, peer)

    def _flush(self, conn_id: int, peer: Peer) -> None:
        peer.flush()
        if peer.has_something_to_say:
            self._around.pump(peer)
        elif self._around.owned.owns(conn_id):
            self._around.owned.rest(conn_id)
