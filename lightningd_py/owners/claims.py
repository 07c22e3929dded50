"""Who may speak for which connection: what an owner says is believed of its own connections, and of no others.

A connection has one owner, a daemon or a program, and what is said of it has its conn_id and its node_id. What does not
fit has no effect but a line in the log: its fds are closed. On the direct path connectd and gossipd both say that a
connection has changed hands, each on its own socket, and neither is believed alone: what gossipd says of a connection
of which connectd has not told yet is held for HELD_TIME seconds.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from lightningd_py.owners.peers import NEXT, Event, Peer, Peers
from wire.control import control_wire
from wire.control.control_message import ControlMessage
from wire.control.control_wire import PeerInfo
from wire.control.shares import Newest
from wire.control.status import Status
from wire.net.moving_state import flaw_of_messages, flaw_of_state
from wire.start.late_dataclass import dataclass

CONNECTD, GOSSIPD, CONNECTIOND, PROGRAM = "connectd", "gossipd", "connectiond", "a program"

HELD_TIME = 10.0
MOST_HELD = 2_000
"""Messages of gossipd's that wait for connectd's."""
MOST_HELD_BYTES = 16 << 20
MOST_REPORTED = 10_000
"""Connections that connectd has given to gossipd, and of which gossipd has not spoken yet."""
MOST_REMEMBERED = 10_000
"""Connections that have ended lately: a late word about one of them is no surprise."""

status = Status("lightningd")

AboutOne = (
    control_wire.PeerTaken
    | control_wire.PeerNongossip
    | control_wire.ReleasePeerReply
    | control_wire.ReleasePeerReplyfail
    | control_wire.PeerGivenBack
    | control_wire.PeerDisconnected
    | control_wire.PeerOwner
    | control_wire.PeerFault
    | control_wire.PeerMessage
)
"""What owners say of one connection."""

_EVENTS: dict[type[ControlMessage], Event] = {
    control_wire.PeerTaken: Event.PEER_TAKEN,
    control_wire.PeerNongossip: Event.PEER_NONGOSSIP,
    control_wire.ReleasePeerReply: Event.RELEASE_PEER_REPLY,
    control_wire.ReleasePeerReplyfail: Event.RELEASE_PEER_REPLYFAIL,
    control_wire.PeerGivenBack: Event.PEER_GIVEN_BACK,
    control_wire.PeerDisconnected: Event.PEER_DISCONNECTED,
    control_wire.PeerOwner: Event.PEER_OWNER,
}
CHANNEL_ID_SIZE = 32
_OF_ANY = (control_wire.PeerFault, control_wire.ReleasePeerReplyfail)
"""What gossipd says of connections that others may have."""
_MAY_BE_LATE = (*_OF_ANY, control_wire.PeerMessage, control_wire.PeerOwner, control_wire.PeerDisconnected)


def flaw_of(message: ControlMessage, speaker: str) -> str | None:
    """What is wrong with what an owner, or connectd, says of its own connection; None if nothing is.

    Why a connection has ended is no more than cut, if it is too long.
    """
    match message:
        case control_wire.PeerMessage(message=said, message_type=number, channel_id=channel_id):
            return _flaw_of_words(said, number, channel_id)
        case control_wire.PeerNongossip(message=said, message_type=number, channel_id=channel_id, state=state):
            return _flaw_of_words(said, number, channel_id) or flaw_of_state(state)
        case control_wire.PeerConnected(state=state) | control_wire.ReleasePeerReply(state=state):
            return flaw_of_state(state)
        case control_wire.PeerGivenBack(state=state, send=send, gossip_state=gossip_state):
            if gossip_state is not None and speaker != GOSSIPD:
                return "what gossipd remembers of a peer is gossipd's"
            return flaw_of_state(state) or flaw_of_messages(send)
    return None


def _flaw_of_words(said: bytes, number: int, channel_id: bytes | None) -> str | None:
    if flaw := flaw_of_messages([said]):
        return flaw
    if int.from_bytes(said[:2], "big") != number:
        return f"a message is not of type {number}"
    return None if channel_id is None or len(channel_id) == CHANNEL_ID_SIZE else "no channel_id is so long"


def _named(message: AboutOne) -> tuple[int, bytes]:
    """conn_id and node_id."""
    about = message.peer if isinstance(message, control_wire.PeerTaken) else message
    return about.conn_id, about.node_id


@dataclass(slots=True)
class _Held:
    """What gossipd has said of one connection, in order."""

    timer: asyncio.TimerHandle
    messages: list[AboutOne] = field(default_factory=list)
    size: int = 0


@dataclass(frozen=True, slots=True)
class ClaimsLeft:
    """For the next program of this process."""

    reported: list[PeerInfo] = field(default_factory=list)
    ends_wanted: list[tuple[int, str]] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)


class Claims:
    """What is said of connections, checked. What is true has its deed done, `unwanted` gets a connection that gossipd
    says to have from connectd, which does not say so.
    """

    def __init__(
        self,
        peers: Peers,
        owner_of: Callable[[Peer], str],
        deeds: Mapping[type[AboutOne], Callable[[Any], None]],
        unwanted: Callable[[PeerInfo], None],
    ) -> None:
        """`owner_of`: one of GOSSIPD, CONNECTIOND, PROGRAM."""
        self._peers = peers
        self._owner_of = owner_of
        self._deeds = deeds
        self._unwanted = unwanted
        self._reported: Newest[int, PeerInfo] = Newest(MOST_REPORTED)
        self._held: dict[int, _Held] = {}
        self._held_count = self._held_size = 0
        self._ends_wanted: Newest[int, str] = Newest(MOST_REPORTED)
        self._gone: Newest[int, None] = Newest(MOST_REMEMBERED)

    def leave(self) -> ClaimsLeft:
        """What the next program of this process has to know. Nothing may be `held`."""
        return ClaimsLeft(
            list(self._reported.values.values()), list(self._ends_wanted.values.items()), list(self._gone)
        )

    def resume(self, left: ClaimsLeft) -> None:
        """Go on with what the program before us knew."""
        for info in left.reported:
            self._reported.put(info.conn_id, info)
        for conn_id, reason in left.ends_wanted:
            self._ends_wanted.put(conn_id, reason)
        for conn_id in left.gone:
            self._gone.put(conn_id, None)

    @property
    def held(self) -> int:
        """Messages of gossipd's that wait for connectd's."""
        return self._held_count

    # connections that have ended

    def remember_gone(self, conn_id: int) -> None:
        """A connection has ended, or never comes."""
        self._reported.pop(conn_id)
        self._ends_wanted.pop(conn_id)
        self._gone.put(conn_id, None)

    def is_gone(self, conn_id: int) -> bool:
        """Whether it has ended lately."""
        return conn_id in self._gone

    # what connectd says

    def reported(self, info: PeerInfo) -> None:
        """connectd gives this connection to gossipd, on the direct path."""
        conn_id = info.conn_id
        if self.refuses_new(CONNECTD, control_wire.PeerHandedOver, info):
            return
        self._reported.put(conn_id, info)
        held = self._let_go(conn_id)
        for message in held.messages if held is not None else []:
            self.heard(GOSSIPD, message)

    def refuses_new(self, speaker: str, said: type[ControlMessage], info: PeerInfo) -> bool:
        """Whether a connection cannot be a new one: conn_ids do not repeat."""
        if info.conn_id not in self._gone and self._peers.get(info.conn_id) is None:
            return False
        _complain(speaker, said.name(), info.conn_id, "which is no new one")
        return True

    def refuses_connected(self, message: control_wire.PeerConnected) -> bool:
        """The same, and whether its state is flawed."""
        if self.refuses_new(CONNECTD, type(message), message.peer):
            return True
        flaw = flaw_of(message, CONNECTD)
        if flaw is not None:
            _complain(CONNECTD, message.name(), message.peer.conn_id, flaw)
        return flaw is not None

    def refuses_of_connectd(self, message: control_wire.PeerReconnected | control_wire.PeerDisconnected) -> bool:
        """Whether what connectd says of a connection that it has given away cannot be true."""
        peer = self._peers.get(message.conn_id)
        if peer is None:
            return False
        if isinstance(message, control_wire.PeerDisconnected):
            objection = f"which {self._owner_of(peer)} has"
        elif peer.info.node_id != message.node_id:
            objection = "which is another node's"
        else:
            return False
        _complain(CONNECTD, message.name(), message.conn_id, objection)
        return True

    def want_end(self, conn_id: int, reason: str) -> None:
        """connectd has a newer connection of the same node than this one, of which gossipd has not spoken yet."""
        if conn_id not in self._gone:
            self._ends_wanted.put(conn_id, reason)

    def end_wanted(self, conn_id: int) -> str | None:
        """Why this one is to end, if it is; said once."""
        return self._ends_wanted.pop(conn_id)

    # what owners say

    def heard(self, speaker: str, message: AboutOne) -> None:
        """An owner speaks of a connection: one of GOSSIPD, CONNECTIOND, PROGRAM."""
        conn_id, node_id = _named(message)
        if speaker == GOSSIPD and self._must_wait(conn_id, message):
            return
        peer = self._peers.get(conn_id)
        objection = self._objection(speaker, message, peer, node_id)
        if objection is None:
            self._do(speaker, message)
            return
        message.close_fds()
        if peer is not None or conn_id not in self._gone or not isinstance(message, _MAY_BE_LATE):
            _complain(speaker, message.name(), conn_id, objection)

    def _do(self, speaker: str, message: AboutOne) -> None:
        """What is flawed ends the connection, which is its owner's no more."""
        conn_id, node_id = _named(message)
        self._reported.pop(conn_id)
        flaw = None if isinstance(message, control_wire.PeerTaken) else flaw_of(message, speaker)
        if flaw is not None:
            message.close_fds()
            _complain(speaker, message.name(), conn_id, flaw)
            message = control_wire.PeerDisconnected(node_id, conn_id, f"{speaker} has said {message.name()}: {flaw}")
        self._deeds[type(message)](message)

    def _objection(self, speaker: str, message: AboutOne, peer: Peer | None, node_id: bytes) -> str | None:
        """Why this cannot be true, as the end of a sentence; None if it may be."""
        if peer is None:
            if isinstance(message, control_wire.PeerTaken) and self._reported.get(message.peer.conn_id) == message.peer:
                return None
            return "which is not known"
        if node_id != peer.info.node_id or (isinstance(message, control_wire.PeerTaken) and message.peer != peer.info):
            return "which is another node's"
        owner = self._owner_of(peer)
        if speaker != owner and not isinstance(message, _OF_ANY):
            return f"which {owner} has"
        event = _EVENTS.get(type(message))
        if event is not None and (peer.state, event) not in NEXT:
            return f"which is {peer.state.value}"
        return None

    # what waits for connectd's word

    def _must_wait(self, conn_id: int, message: AboutOne) -> bool:
        """Hold it, if gossipd has it from connectd, as it says, and connectd has not told us."""
        held = self._held.get(conn_id)
        if held is None:
            known = conn_id in self._reported or conn_id in self._gone or self._peers.get(conn_id) is not None
            if known or not isinstance(message, control_wire.PeerTaken):
                return False
            timer = asyncio.get_running_loop().call_later(HELD_TIME, self._give_up, conn_id)
            held = self._held[conn_id] = _Held(timer)
        size = len(message.encode()[0])
        held.messages.append(message)
        held.size += size
        self._held_count += 1
        self._held_size += size
        if self._held_count > MOST_HELD or self._held_size > MOST_HELD_BYTES:
            self._give_up(conn_id)
        return True

    def _let_go(self, conn_id: int) -> _Held | None:
        held = self._held.pop(conn_id, None)
        if held is not None:
            held.timer.cancel()
            self._held_count -= len(held.messages)
            self._held_size -= held.size
        return held

    def _give_up(self, conn_id: int) -> None:
        """connectd has not given it away: gossipd must not keep it, if there is such a connection."""
        held = self._let_go(conn_id)
        assert held is not None
        taken = held.messages[0]
        assert isinstance(taken, control_wire.PeerTaken)
        for message in held.messages:
            message.close_fds()
        self.remember_gone(conn_id)
        _complain(GOSSIPD, taken.name(), conn_id, "which connectd has not given to it")
        self._unwanted(taken.peer)

    def forget_held(self) -> None:
        """gossipd has died: nothing of what it has is left."""
        for conn_id in list(self._held):
            held = self._let_go(conn_id)
            for message in held.messages if held is not None else []:
                message.close_fds()


def _complain(speaker: str, said: str, conn_id: int, objection: str) -> None:
    """One line, counted if there are many: what is not of our making is not our being broken."""
    status.by_stranger(
        "claim", f"{speaker} says {said} of connection {conn_id}, {objection}: ignored", speaker, speaker
    )
