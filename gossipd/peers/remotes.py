"""All peers whose connection another process owns, by conn_id: their gossip fds (remote.py) open and come back."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Protocol

from gossipd.peers.peer import Peer
from gossipd.peers.remote import Remote
from gossipd.peers.waiting import Pause
from gossipd.serve.budget import Budget
from wire.control.control_message import Fd
from wire.net.gossip_fd import close_returned, gossip_pair, is_owed
from wire.net.turns import FairTurns


class Around(Protocol):
    """What the gossip fds need of their daemon."""

    budget: Budget
    turns: FairTurns

    @property
    def pause(self) -> Pause[Peer]:
        """Whether gossip is taken in."""

    def may_read(self) -> bool:
        """Whether the pipeline has room."""

    def drop(self, peer: Peer) -> None:
        """An owner has closed its end, and has been heard out: the connection has ended."""

    def owed_elsewhere(self, peer: Peer, packet: bytes) -> None:
        """What a packet is about, gossip of the peer's, could not be passed on by its owner."""


class Remotes:
    """The gossip fds whose one end is here."""

    def __init__(self, around: Around) -> None:
        self._loop = asyncio.get_running_loop()
        self._around = around
        self._remotes: dict[int, Remote] = {}
        self._stamps_reads = False

    def __len__(self) -> int:
        return len(self._remotes)

    def __iter__(self) -> Iterator[Peer]:
        return (remote.peer for remote in self._remotes.values())

    def __contains__(self, conn_id: object) -> bool:
        return conn_id in self._remotes

    def open(self, peer: Peer) -> Fd:
        """The owner's end of a new gossip fd."""
        if (before := self._remotes.pop(peer.info.conn_id, None)) is not None:
            before.close()
        ours, theirs = gossip_pair()
        self._keep(Remote(peer, ours, self))
        return Fd(theirs)

    def _keep(self, remote: Remote) -> None:
        self._remotes[remote.peer.info.conn_id] = remote
        if self._stamps_reads:
            remote.stamp_reads(wanted=True)

    def stamp_reads(self, *, wanted: bool) -> None:
        """From now on it is kept when each packet was written, or not any more."""
        self._stamps_reads = wanted
        for remote in self._remotes.values():
            remote.stamp_reads(wanted=wanted)

    def get(self, conn_id: int) -> Remote | None:
        """That of a connection, if it is here."""
        return self._remotes.get(conn_id)

    def adopt(self, peer: Peer, fd: int, *, started: bool) -> None:
        """Our end of a gossip fd, which another gossipd had, and whose owner has begun to read it if `started`."""
        sock = socket.socket(fileno=fd)
        sock.setblocking(False)
        conn_id = peer.info.conn_id
        remote = Remote(peer, sock, self, started=started)
        self._keep(remote)
        remote.update_reading()
        self.pump_soon(conn_id)

    def detach(self, conn_id: int) -> tuple[int, bool, list[bytes]]:
        """Our end of a gossip fd for another gossipd, whether its owner has begun to read it, and what we had not yet
        written to it.
        """
        return self._remotes.pop(conn_id).detach()

    def take_back(self, peer: Peer, returned: Fd | None) -> list[bytes]:
        """The connection is here again: what its last owner wrote to us. What we wrote to it and it had not read goes
        into the peer's outbox.
        """
        remote = self._remotes.pop(peer.info.conn_id, None)
        unread = close_returned(returned) if returned is not None else []
        if remote is None:
            return []
        to_us, not_written = remote.close()
        for message in [*unread, *not_written]:
            peer.say(message)
        return to_us

    @property
    def budget(self) -> Budget:
        """What peers are served within."""
        return self._around.budget

    @property
    def turns(self) -> FairTurns:
        """Whose turn it is."""
        return self._around.turns

    def may_read(self) -> bool:
        """Whether the pipeline has room."""
        return self._around.may_read() and not self._around.pause.on

    def ended(self, peer: Peer) -> None:
        """The owner has closed its end: hear it out."""
        to_us, _ = self._remotes.pop(peer.info.conn_id).close()
        for packet in to_us:
            self.hear(peer, packet)
        self._around.drop(peer)

    def hear(self, peer: Peer, packet: bytes) -> bool:
        """What an owner has written: a message of the peer's, or what is owed of its gossip. False if it has gone."""
        if not is_owed(packet):
            return peer.hear_gossip(packet)
        self._around.owed_elsewhere(peer, packet)
        return True

    def pump_soon(self, conn_id: int) -> None:
        """Write what is for this peer: not now, for its messages may be in the midst of being heard."""
        if conn_id in self._remotes:
            self._loop.call_soon(self._pump, conn_id)

    def _pump(self, conn_id: int) -> None:
        if conn_id in self._remotes:
            self._remotes[conn_id].pump()

    def update_reading(self) -> None:
        """There is room again, or none any more."""
        for remote in self._remotes.values():
            remote.update_reading()

    def close(self) -> None:
        """The end."""
        for remote in self._remotes.values():
            remote.close()
