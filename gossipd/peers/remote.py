"""Peers whose connection another process owns: their gossip flows through a gossip fd, and nothing else does."""

import asyncio
import socket
from collections import deque
from functools import partial
from typing import Protocol

from gossipd.peers.peer import Peer
from gossipd.serve.budget import Budget
from wire.address import source_key
from wire.net.gossip_fd import GossipFd
from wire.net.owned_peers import PULL
from wire.net.turns import FairTurns


class Around(Protocol):
    """What one gossip fd needs of those who have them all."""

    @property
    def budget(self) -> Budget:
        """What peers are served within."""

    @property
    def turns(self) -> FairTurns:
        """Whose turn it is."""

    def may_read(self) -> bool:
        """Whether the pipeline has room."""

    def ended(self, peer: Peer) -> None:
        """The owner has closed its end."""

    def hear(self, peer: Peer, packet: bytes) -> bool:
        """What the owner has written. False if the peer has gone."""


class Remote:
    """One such peer. Bounded: at most one pulled batch waits here, the rest stays a cursor in the Peer."""

    def __init__(self, peer: Peer, sock: socket.socket, around: Around, *, started: bool = False) -> None:
        """`started`: the owner has begun to read, as another gossipd knows."""
        self.peer = peer
        self._conn_id = peer.info.conn_id
        self._loop = asyncio.get_running_loop()
        self._around = around
        self._later: asyncio.TimerHandle | None = None
        """The peer has used its budget up."""
        self._waiting: deque[bytes] = deque()
        self._in_turn = partial(around.turns.add, source_key(peer.info.address))
        self._pumps_in_turn = False
        self._fd = GossipFd(sock, self._loop, self._hear, self.pump, self._end, self._in_turn)
        self._fd.started = started
        self.packets = 0
        """How many its owner has written, since this one is here."""

    def _hear(self, packet: bytes) -> None:
        self.packets += 1
        self._around.hear(self.peer, packet)
        if self.peer.has_something_to_say:
            self.pump()
        self.update_reading()

    def _end(self) -> None:
        self._around.ended(self.peer)

    def pump(self) -> None:
        """Write what is for the peer, from the cursor, while there is room and the owner has begun to read."""
        if not self._fd.started:
            return
        if not self._waiting:
            self._waiting.extend(self._around.budget.pull(self._conn_id, self.peer, PULL, self._loop.time()))
        while self._waiting:
            if not self._fd.send(self._waiting[0]):
                return
            self._waiting.popleft()
        self.update_reading()
        if self.peer.has_something_to_say and self._later is None:
            wait = 0.0 if self.peer.has_free else self._around.budget.wait(self._conn_id, self._loop.time())
            if wait:
                self._later = self._loop.call_later(wait, self._pump_later)
            else:
                self._pump_in_turn()

    def _pump_later(self) -> None:
        self._later = None
        self._pump_in_turn()

    def _pump_in_turn(self) -> None:
        if not self._pumps_in_turn:
            self._pumps_in_turn = True
            self._in_turn(self._pump_on)

    def _pump_on(self) -> None:
        self._pumps_in_turn = False
        if not self._fd.closed:
            self.pump()

    def update_reading(self) -> None:
        """Read the gossip fd while the pipeline has room and the owner takes the peer's warnings."""
        if self._around.may_read() and not self.peer.choked:
            self._fd.resume()
        else:
            self._fd.pause()

    def stamp_reads(self, *, wanted: bool) -> None:
        """See `GossipFd`."""
        self._fd.stamp_reads(wanted=wanted)

    @property
    def read_at_ns(self) -> int:
        """When the owner had written what is being heard."""
        return self._fd.read_at_ns

    def detach(self) -> tuple[int, bool, list[bytes]]:
        """Our end, whether the owner has begun to read, and what we had not yet written to it."""
        if self._later is not None:
            self._later.cancel()
        started = self._fd.started
        return self._fd.detach(), started, list(self._waiting)

    def close(self) -> tuple[list[bytes], list[bytes]]:
        """Close our end: what the owner had written to us, and what we had not yet written to it."""
        if self._later is not None:
            self._later.cancel()
        return self._fd.close(), list(self._waiting)
