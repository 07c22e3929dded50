"""Giving a connection away: to the master with a gossip fd, or on the direct path straight to gossipd. Design 2.3, 2.4.

Out of the event loop, sent, our copy closed, the keys forgotten, in this order; the channel closes the fd when the
message has been taken.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable

from connectd.connection import ConnectionEnded
from connectd.connections import Connections
from connectd.one_per_node import Candidate, OnePerNode
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import Fd
from wire.control.control_wire import GossipNewPeer, GossipNewPeerReply, HandlePeer, PeerConnected, PeerHandedOver
from wire.control.status import Status

status = Status("connectd")


class HandOver:
    """Who gets a connection. `direct` and `registered` are what the master has said last."""

    def __init__(
        self,
        connections: Connections,
        one_per_node: OnePerNode,
        master: ControlChannel,
        link: ControlChannel,
        patience: float,
    ) -> None:
        """`patience`: seconds that gossipd has for a gossip fd, its restart included."""
        self._connections = connections
        self._one_per_node = one_per_node
        self._master = master
        self._link = link
        self._patience = patience
        self._renewed = asyncio.Event()
        self._asking = 0
        self._held = False
        self._move: Callable[[Candidate], Awaitable[None]] | None = None
        self.direct = False
        self.registered: set[bytes] = set()

    async def give_away(self, candidate: Candidate) -> None:
        """Returns when it is sent: while gossipd restarts that takes a while. Raises ConnectionEnded if the
        connection ends or is replaced before that, or gossipd does not answer in time.
        """
        if self.goes_at_once(candidate):  # mostly
            self._to_gossipd(candidate)
            self._connections.forget(candidate.connection)
            return
        try:
            async with asyncio.timeout(self._patience):
                gone = False
                while self._move is None and not (gone := await self._has_gone(candidate)):
                    await self._renewed.wait()
        except TimeoutError:
            raise ConnectionEnded(f"gossipd has not taken it within {self._patience:g} seconds") from None
        if not gone and self._move is not None:
            await self._move(candidate)
        self._connections.forget(candidate.connection)

    @property
    def held(self) -> bool:
        """Nothing is given away now, or not by us."""
        return self._held

    @property
    def idle(self) -> bool:
        """No answer of gossipd's is waited for, and all that was given away has been sent."""
        return not self._asking and not self._link.queued and not self._master.queued

    def hold(self) -> None:
        """Give nothing away from now on."""
        self._held = True

    def go_on(self, move: Callable[[Candidate], Awaitable[None]] | None = None) -> None:
        """The end of `hold`. All goes by `move` from now on, to another connectd; it raises ConnectionEnded."""
        self._held, self._move = move is not None, move
        self._wake()

    def new_link(self, link: ControlChannel) -> None:
        """gossipd was restarted, and hears us there."""
        self._link = link
        self._wake()

    def _wake(self) -> None:
        self._renewed.set()
        self._renewed = asyncio.Event()

    @property
    def _takes(self) -> bool:
        return not (self._held or self._link.closed or self._master.closed)

    def goes_at_once(self, candidate: Candidate) -> bool:
        """On the direct path."""
        return self.direct and self._move is None and self._takes and candidate.peer.node_id not in self.registered

    async def _has_gone(self, candidate: Candidate) -> bool:
        """False if there is no gossipd at this moment: it has the gossip of every connection, with any owner."""
        if self.goes_at_once(candidate):
            self._to_gossipd(candidate)
            return True
        if not self._takes:
            return False
        link = self._link
        self._asking += 1
        try:
            await self._to_master(candidate)
        except ChannelClosed:
            return self._link is not link and await self._has_gone(candidate)
        finally:
            self._asking -= 1
        return True

    def _to_gossipd(self, candidate: Candidate) -> None:
        self._still_there(candidate)
        fd, state = candidate.connection.release()
        self._master.send(PeerHandedOver(candidate.peer))  # first: gossipd's word waits for it
        self._link.send(
            HandlePeer(
                peer=candidate.peer,
                state=state,
                send=[],
                gossip_state=None,
                peer_fd=Fd(fd),
                gossip_fd=None,
            )
        )
        candidate.direct = True
        self._connections.tally.given["gossipd"] += 1
        status.debug("given to gossipd", candidate.peer.node_id)

    async def _to_master(self, candidate: Candidate) -> None:
        reply = await self._link.request(GossipNewPeer(peer=candidate.peer), GossipNewPeerReply)
        try:
            self._still_there(candidate)
        except ConnectionEnded:
            os.close(reply.gossip_fd)
            raise
        fd, state = candidate.connection.release()
        self._master.send(PeerConnected(peer=candidate.peer, state=state, peer_fd=Fd(fd), gossip_fd=reply.gossip_fd))
        self._connections.tally.given["master"] += 1
        status.debug("given to the master", candidate.peer.node_id)

    def _still_there(self, candidate: Candidate) -> None:
        """Raises ConnectionEnded if it was replaced, or has ended, while gossipd was asked."""
        if not self._one_per_node.is_newest(candidate):
            raise ConnectionEnded("a newer connection of the same node has come")
        if candidate.connection.lost is not None:
            raise ConnectionEnded(candidate.connection.lost)
