"""What follows from what a peer does wrong: at once, from a fault, and in time, from its score (score.py)."""

from collections.abc import Callable
from typing import Protocol

from gossipd.peers.peer import Peer
from gossipd.peers.score import BAD_SIGNATURE, IGNORED_FOR, MALFORMED, RATE_LIMITED, Step
from gossipd.verdict import Consequence, PeerFault
from wire.control.control_message import ControlMessage
from wire.control.control_wire import PeerFault as PeerFaultMessage
from wire.control.status import Status
from wire.net.owned_peers import OwnedPeers
from wire.peer_wire import WarningMessage

MAX_LOGGED_FAULTS = 10
"""A peer's offences that are logged; it may have thousands."""

ALL_CHANNELS = bytes(32)

status = Status("gossipd")


class House(Protocol):
    """What is needed of the daemon."""

    owned: OwnedPeers[Peer]

    def is_remote(self, conn_id: int) -> bool:
        """Whether somebody else owns it, and its gossip fd is here."""

    def find(self, conn_id: int) -> Peer | None:
        """The peer, whoever owns its connection."""

    def end(self, peer: Peer, last_words: list[bytes], reason: str) -> None:
        """Close a connection that is here."""

    def say_soon(self, peer: Peer, message: bytes) -> None:
        """Send it when its other messages have been heard."""

    def tell(self, message: ControlMessage) -> None:
        """Say this to the master."""

    def listen(self, peer: Peer, *, to_it: bool) -> None:
        """The peer's gossip is ignored from now on, or listened to again."""


class Offences:
    """Every fault of a peer's comes here. Of each connection only a count is kept."""

    def __init__(self, house: House, call_later: Callable[..., object], now: Callable[[], float]) -> None:
        """`call_later` and `now`: the loop's."""
        self._house = house
        self._call_later = call_later
        self._now = now
        self._faults: dict[int, int] = {}

    def forget(self, conn_id: int) -> None:
        """The peer has left."""
        self._faults.pop(conn_id, None)

    def fault(self, peer: Peer, fault: PeerFault) -> bool:
        """The one place where a peer's offence has its consequence. False if the connection is gone."""
        self._log(peer, str(fault))
        warning = WarningMessage(ALL_CHANNELS, str(fault).encode()).encode()
        conn_id = peer.info.conn_id
        if fault.consequence is Consequence.WARN:
            self._house.say_soon(peer, warning)
            return True
        if self._house.owned.owns(conn_id):
            self._house.end(peer, [warning], str(fault))
        elif self._house.is_remote(conn_id):
            self._house.say_soon(peer, warning)
            self._house.tell(PeerFaultMessage(peer.info.node_id, conn_id, str(fault)))
        return False

    def bad_gossip(self, peer: Peer, fault: PeerFault, points: float = MALFORMED) -> bool:
        """Gossip that nobody should have passed on: the fault's own consequence, and the score's."""
        peer.standing.bad += 1
        # The score first: the standing goes with the peer, and is remembered.
        step = peer.standing.offend(points, self._now(), may_end=self._house.owned.owns(peer.info.conn_id))
        return self.fault(peer, fault) and self._take(step, peer)

    def unwanted(self, peer: Peer, points: float) -> bool:
        """Gossip that costs so many points and has no warning of its own. False if the connection is gone."""
        may_end = self._house.owned.owns(peer.info.conn_id)
        return self._take(peer.standing.offend(points, self._now(), may_end=may_end), peer)

    def found_good(self, conn_id: int) -> None:
        """A message was new, and rightly signed."""
        peer = self._house.find(conn_id)
        if peer is not None:
            peer.standing.good += 1

    def found_bad(self, conn_id: int, fault: PeerFault) -> None:
        """`bad_gossip` that was found after its message had gone down the pipeline; its sender may have left."""
        peer = self._house.find(conn_id)
        if peer is not None:
            self.bad_gossip(peer, fault, BAD_SIGNATURE)

    def found_too_often(self, conn_id: int) -> None:
        """An update of a channel that updates too often."""
        peer = self._house.find(conn_id)
        if peer is not None:
            peer.standing.rate_limited += 1
            self.unwanted(peer, RATE_LIMITED)

    def _take(self, step: Step | None, peer: Peer) -> bool:
        match step:
            case Step.WARN:
                return self.fault(peer, PeerFault("much of your gossip is not wanted", Consequence.WARN))
            case Step.IGNORE:
                text = f"your gossip is ignored for {IGNORED_FOR:.0f} seconds: too much of it was bad"
                self._ignore(peer)
                return self.fault(peer, PeerFault(text, Consequence.WARN))
            case Step.DISCONNECT:
                return self.fault(peer, PeerFault("too much of your gossip was bad", Consequence.DISCONNECT))
        return True

    def _ignore(self, peer: Peer) -> None:
        self._house.listen(peer, to_it=False)
        self._call_later(IGNORED_FOR, self._listen_again, peer)

    def _listen_again(self, peer: Peer) -> None:
        if self._house.find(peer.info.conn_id) is peer:
            self._house.listen(peer, to_it=True)

    def _log(self, peer: Peer, text: str) -> None:
        count = self._faults[peer.info.conn_id] = self._faults.get(peer.info.conn_id, 0) + 1
        if count <= MAX_LOGGED_FAULTS:
            status.unusual(text, peer.info.node_id)
        if count == MAX_LOGGED_FAULTS:
            status.unusual("further offences of this peer are not logged", peer.info.node_id)
