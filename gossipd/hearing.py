"""What the feed says of a connection besides its messages: who it is, when they came, in which phase it is.

Reads are stamped only while the feed's arrivals or pings are subscribed to.
"""

from typing import Protocol

from gossipd.ask.phases import Phases
from gossipd.ask.seeker import Seeker
from gossipd.feed import Feed
from gossipd.peers.peer import Peer
from gossipd.peers.remotes import Remotes
from wire.control.control_wire import PeerInfo
from wire.net.owned_peers import OwnedPeers


class Around(Protocol):
    """The connections, and what is asked of them."""

    peers: dict[int, Peer]
    owned: OwnedPeers[Peer]
    remotes: Remotes
    seeker: Seeker
    feed: Feed

    def clock(self) -> float:
        """Seconds that do not jump."""


class Hearing:
    """Between the feed and the connections. `phases` is to be told of those that come and go."""

    def __init__(self, around: Around, quiet: float) -> None:
        """`quiet`: seconds in which a peer that says little is in sync no more."""
        self._around = around
        self.phases = Phases(around.clock, quiet, self._heard, self._asked)
        feed = around.feed
        feed.sender_of, feed.read_at_of, feed.phase_of = self._sender, self._read_at, self.phases.of
        feed.on_taken = self._taken

    def _sender(self, conn_id: int) -> PeerInfo | None:
        return peer.info if (peer := self._around.peers.get(conn_id)) is not None else None

    def _read_at(self, conn_id: int) -> int:
        """When what is being heard of it had arrived, in unix nanoseconds; 0 if that is not known."""
        peer, owned = self._around.peers.get(conn_id), self._around.owned
        if peer is not None and peer.came_ns:
            return peer.came_ns
        if owned.owns(conn_id):
            return owned.owned_peer(conn_id).read_at_ns
        remote = self._around.remotes.get(conn_id)
        return 0 if remote is None else remote.read_at_ns

    def _heard(self, conn_id: int) -> int:
        """How many messages have come of it where it is now."""
        owned = self._around.owned
        if owned.owns(conn_id):
            return owned.owned_peer(conn_id).frames.messages_in
        remote = self._around.remotes.get(conn_id)
        return 0 if remote is None else remote.packets

    def _asked(self) -> int | None:
        """The connection that answers a question for channels."""
        question = self._around.seeker.question
        return question.conn_id if question is not None and question.batch and not question.answered else None

    def _taken(self) -> None:
        """Other topics are subscribed to than before."""
        wanted = self._around.feed.gossip or self._around.feed.pings
        if wanted is not self._around.owned.stamps_reads:
            self._around.owned.stamp_reads(wanted=wanted)
            self._around.remotes.stamp_reads(wanted=wanted)
