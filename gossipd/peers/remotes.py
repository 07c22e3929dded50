"""All peers whose connection another process owns, by conn_id: their gossip fds (remote.py) open and come back."""

import asyncio
from collections.abc import Callable

from gossipd.peers.peer import Peer
from gossipd.peers.remote import Remote
from gossipd.serve.budget import Budget
from wire.control.control_message import Fd
from wire.net.gossip_fd import close_returned, gossip_pair, is_owed


class Remotes:
    """The gossip fds whose one end is here."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        may_read: Callable[[], bool],
        ended: Callable[[Peer], None],
        owed: Callable[[Peer, bytes], None],
        budget: Budget,
    ) -> None:
        """`may_read`: whether the pipeline has room. `ended`: an owner has closed its end, and has been heard out.
        `owed` gets the packets about gossip that an owner could not pass on.
        """
        self._loop = loop
        self._may_read = may_read
        self._ended = ended
        self._owed = owed
        self._budget = budget
        self._remotes: dict[int, Remote] = {}

    def __len__(self) -> int:
        return len(self._remotes)

    def __contains__(self, conn_id: object) -> bool:
        return conn_id in self._remotes

    def open(self, peer: Peer) -> Fd:
        """The owner's end of a new gossip fd."""
        ours, theirs = gossip_pair()
        self._remotes[peer.info.conn_id] = Remote(
            peer, ours, self._loop, self._may_read, self._owner_closed, self.hear, self._budget
        )
        return Fd(theirs)

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

    def _owner_closed(self, peer: Peer) -> None:
        to_us, _ = self._remotes.pop(peer.info.conn_id).close()
        for packet in to_us:
            self.hear(peer, packet)
        self._ended(peer)

    def hear(self, peer: Peer, packet: bytes) -> bool:
        """What an owner has written: a message of the peer's, or what is owed of its gossip. False if it has gone."""
        if not is_owed(packet):
            return peer.hear_gossip(packet)
        self._owed(peer, packet)
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
