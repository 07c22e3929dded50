"""Who gets a connection: the master's decisions, each taken in one step from tables.

While the master holds a connection its pings are not answered, so nothing here waits. The steps are those of the table
in `peers.py`; between two of them a `MovingConnection` is in the master's hands. Whose a connection is says
`registrations.py`; programs' are in `programs.py`, bus services' at connectiond. `claims.py` looks at owners' words.
"""

from collections.abc import Callable, Iterable
from typing import Any

from lightningd_py.owners import claims
from lightningd_py.owners.claims import GOSSIPD, AboutOne, Claims
from lightningd_py.owners.peers import Event, MovingConnection, Peer, Peers, State
from lightningd_py.owners.programs import Programs
from lightningd_py.owners.strangers import StrangersAtServices
from lightningd_py.registrations.registered import Registered
from lightningd_py.registrations.registrations import Registrations
from wire.control import control_wire
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.limits import Limits
from wire.control.status import INFO, LONGEST, Status, sane
from wire.control.timing import Timing
from wire.crypto_state import PeerState
from wire.peer_wire import ALL_CHANNELS, ErrorMessage, WarningMessage, message_name
from wire.routing import TROUBLE, answer_without_service, flaw_without_service

MASTER = "master"

status = Status("lightningd")


def tell(channel: ControlChannel, message: ControlMessage) -> None:
    """Say it to a daemon that understands it. If it is gone so is what it had; the next one is told all at once."""
    if channel.closed or not (channel.knows is None or message.number in channel.knows):
        message.close_fds()
    else:
        channel.send(message)


class Ownership:
    """The table of connections, and everything that moves one."""

    def __init__(
        self,
        registrations: Registrations,
        connectd: ControlChannel,
        gossipd: ControlChannel,
        timing: Timing,
        said: Callable[[Peer, bytes], None],
        hsm_socket: Callable[[str], Fd | None] = lambda service: None,
        peers: Peers | None = None,
        limits: Limits = Limits(),  # noqa: B008 - a value that does not change
    ) -> None:
        """`said`: each message of which a copy comes. `hsm_socket`: a socket to hsmd if that service may sign.
        `peers`: an empty table; one is made if there is none.
        """
        self.peers = Peers() if peers is None else peers
        self.strangers = StrangersAtServices(limits.inbound, registrations)
        self.came: list[Callable[[Peer], None]] = []
        """Called with each new connection."""
        self.moved: list[Callable[[Peer], None]] = [self.strangers.moved]
        """Called with each connection that has another owner than the one that was told before."""
        self.went: list[Callable[[Peer, str], None]] = [self.strangers.went]
        """Called with each connection that has ended, and why."""
        self.registrations = registrations
        self.connectd = connectd
        """Another one when connectd was restarted; so of gossipd."""
        self.gossipd = gossipd
        self.connectiond: ControlChannel | None = None  # there as soon as the first bus service is
        self.first_conn_id = 0
        """Of connections that this connectd has made: those below were an earlier one's."""
        self.on_lost: Callable[[bytes], None] = lambda node_id: None
        """Gets the node of each connection whose owner, a daemon, has died."""
        self.greet: Callable[[control_wire.PeerInfo, PeerState], PeerState] = lambda info, state: state
        """The state of a fresh connection, with what its peer is told first."""
        self.on_copy: Callable[[Registered, control_wire.PeerMessage], None] = lambda service, message: None
        """Gets each copy for a service."""
        self.hears: dict[int, Callable[[Peer, bytes], None]] = {}
        """Who in the node itself gets copies, by the messages' types."""
        self.claims = Claims(self.peers, self._owner_of, self._deeds(), self._end_unwanted)
        self.heard, self.peer_handed_over = self.claims.heard, self.claims.reported
        """What an owner says of a connection, one of those that `claims.py` names, and what connectd does."""
        self.programs = Programs(timing, hsm_socket, self.heard, self._lost, limits)
        self._timing, self._said = timing, said
        self.at_connectiond: set[int] = set()
        self.wanted_by: dict[int, Registered] = {}

    # from connectd

    def peer_connected(self, message: control_wire.PeerConnected) -> None:
        """A connection, fresh from INIT: to its service, or to gossipd."""
        if self.claims.refuses_connected(message):
            message.close_fds()
            return
        peer = self.peers.begin(message.peer, Event.PEER_CONNECTED, MASTER)
        self._came(peer)
        moving = MovingConnection(self.greet(peer.info, message.state), message.peer_fd, message.gossip_fd)
        self._place(peer, moving, self.registrations.for_node(message.peer.node_id), None, [])

    def peer_reconnected(self, message: control_wire.PeerReconnected) -> None:
        """The same node waits with a newer connection: this one must end, if need be as soon as gossipd tells of it."""
        peer, reason = self.peers.get(message.conn_id), "the node has connected again"
        if self.claims.refuses_of_connectd(message):
            return
        if peer is not None:
            self.disconnect(peer, reason)
        else:
            self.claims.want_end(message.conn_id, reason)

    def never_came(self, message: control_wire.PeerDisconnected) -> None:
        """connectd had given it to a gossipd that has died before we heard of it."""
        if self.claims.refuses_of_connectd(message):
            return
        self.peers.never_comes(message.conn_id)
        self.claims.remember_gone(message.conn_id)
        self.on_lost(message.node_id)

    # from owners

    def _owner_of(self, peer: Peer) -> str:
        if peer.info.conn_id in self.at_connectiond:
            return claims.CONNECTIOND
        return GOSSIPD if self.programs.channel_of(peer.info.conn_id) is None else claims.PROGRAM

    def _deeds(self) -> dict[type[AboutOne], Callable[[Any], None]]:
        """What is done about each word of an owner's."""
        return {
            control_wire.PeerTaken: self._peer_taken,
            control_wire.PeerNongossip: self._peer_nongossip,
            control_wire.ReleasePeerReply: self._release_peer_reply,
            control_wire.ReleasePeerReplyfail: self._release_peer_replyfail,
            control_wire.PeerGivenBack: self._peer_given_back,
            control_wire.PeerDisconnected: self._peer_disconnected,
            control_wire.PeerOwner: self._peer_owner,
            control_wire.PeerFault: self._peer_fault,
            control_wire.PeerMessage: self._peer_message,
        }

    def _end_unwanted(self, info: control_wire.PeerInfo) -> None:
        """gossipd says that it has a connection which was not given to it."""
        reason = "connectd has not told of it"
        tell(self.gossipd, control_wire.Disconnect(info.node_id, info.conn_id, [], reason))
        tell(self.connectd, control_wire.PeerDisconnected(info.node_id, info.conn_id, reason))

    def _peer_taken(self, message: control_wire.PeerTaken) -> None:
        """gossipd has it: given by us, or by connectd on the direct path."""
        peer = self.peers.get(message.peer.conn_id)
        if peer is None:
            peer = self.peers.begin(message.peer, Event.PEER_TAKEN, GOSSIPD)
            if message.peer.conn_id < self.first_conn_id:
                tell(self.connectd, control_wire.PeersElsewhere([message.peer]))
            self._came(peer)
            service = self.registrations.for_node(message.peer.node_id)
            if service is not None and service.present:  # it has come while connectd did not know of that yet
                self.release(peer, service)
        else:
            self._step(peer, Event.PEER_TAKEN, GOSSIPD)
        reason = self.claims.end_wanted(message.peer.conn_id)
        if reason is not None:
            self.disconnect(peer, reason)

    def _peer_nongossip(self, message: control_wire.PeerNongossip) -> None:
        """A message that is not its owner's, with its connection."""
        peer = self._known(message.conn_id)
        self.at_connectiond.discard(message.conn_id)
        self._step(peer, Event.PEER_NONGOSSIP, MASTER)
        moving = MovingConnection(message.state, message.peer_fd, message.gossip_fd)
        status.debug(f"{message_name(message.message_type)}", message.node_id)
        about = (message.message_type, message.channel_id)
        service = self.registrations.for_message(*about, message.node_id)
        if service is None:
            self._without_service(peer, moving, message)
        elif not service.present:
            self._close(peer, moving, f"service {service.name} is away")
        else:
            self._place(peer, moving, service, message.message, answer_without_service(*about))

    def _without_service(self, peer: Peer, moving: MovingConnection, message: control_wire.PeerNongossip) -> None:
        """The spec's answer; copies of it are wanted, perhaps."""
        about = (message.message_type, message.channel_id)
        self._copy(peer, control_wire.PeerMessage(message.node_id, message.conn_id, message.message, *about))
        reason = flaw_without_service(*about)
        self._place(peer, moving, None, None, [] if reason else answer_without_service(*about))
        if reason is not None:
            self.disconnect(peer, reason, [WarningMessage(ALL_CHANNELS, reason.encode()).encode()])

    def _release_peer_reply(self, message: control_wire.ReleasePeerReply) -> None:
        """A connection that was asked for; if the service that wanted it has gone, another may want it now."""
        peer = self._known(message.conn_id)
        self._step(peer, Event.RELEASE_PEER_REPLY, MASTER)
        moving = MovingConnection(message.state, message.peer_fd, message.gossip_fd)
        wanted_by = self.wanted_by.pop(message.conn_id, None)
        if wanted_by is None or not wanted_by.present:
            wanted_by = self.registrations.for_node(peer.info.node_id)
        self._place(peer, moving, wanted_by, None, [])

    def _release_peer_replyfail(self, message: control_wire.ReleasePeerReplyfail) -> None:
        """A connection is not there any more: another message has said, or will say, where it went."""
        self.wanted_by.pop(message.conn_id, None)
        self._step(peer := self._known(message.conn_id), Event.RELEASE_PEER_REPLYFAIL, peer.owner)

    def _peer_given_back(self, message: control_wire.PeerGivenBack) -> None:
        """Its owner is done with it."""
        peer = self._known(message.conn_id)
        self._step(peer, Event.PEER_GIVEN_BACK, MASTER)
        self._part(message.conn_id)
        moving = MovingConnection(message.state, message.peer_fd, message.gossip_fd, message.gossip_state)
        self._place(peer, moving, None, None, message.send)

    def _peer_disconnected(self, message: control_wire.PeerDisconnected) -> None:
        """A connection has ended."""
        self._end(self._known(message.conn_id), Event.PEER_DISCONNECTED, message.reason)
        self._part(message.conn_id)

    def _peer_owner(self, message: control_wire.PeerOwner) -> None:
        """connectiond has it for another service now."""
        service = self.registrations.named(message.service)
        if service is None or service.program is not None:
            status.unusual(f"connectiond says that '{sane(message.service[:40])}' has a connection: ignored")
        else:
            self._step(self._known(message.conn_id), Event.PEER_OWNER, message.service)

    def _peer_fault(self, message: control_wire.PeerFault) -> None:
        """Its gossip has earned its end, with any owner."""
        self.disconnect(self._known(message.conn_id), message.reason[:LONGEST])

    def _peer_message(self, message: control_wire.PeerMessage) -> None:
        """A copy of what it said."""
        peer = self._known(message.conn_id)
        self.hears.get(message.message_type, self._said)(peer, message.message)
        self._copy(peer, message)

    def _copy(self, peer: Peer, message: control_wire.PeerMessage) -> None:
        for service in self._to_hear(peer, message):
            self.on_copy(service, message)

    def _to_hear(self, peer: Peer, message: control_wire.PeerMessage) -> list[Registered]:
        """Who gets a copy. An `error` about all channels is for every service that has something registered for the
        peer, and trouble with one channel is for its service; but connectiond tells those who are there by itself.
        """
        number, channel_id = message.message_type, message.channel_id
        if number not in TROUBLE or channel_id is None:
            return self.registrations.for_copies(number)
        if channel_id != ALL_CHANNELS:
            concerned = self.registrations.of_channel(channel_id, message.node_id)
        else:
            concerned = self.registrations.concerned(message.node_id) if number == ErrorMessage.number else []
        heard = peer.state is State.CONNECTIOND
        return [service for service in concerned if not (heard and service.present)]

    # decisions

    def _known(self, conn_id: int) -> Peer:
        peer = self.peers.get(conn_id)
        if peer is None:
            raise RuntimeError(f"connection {conn_id} is not known")
        return peer

    def _place(
        self,
        peer: Peer,
        moving: MovingConnection,
        service: Registered | None,
        message: bytes | None,
        answer: list[bytes],
    ) -> None:
        """Give away what the master holds: to the service, or with the answer to gossipd."""
        if peer.end_wanted is not None:
            self._close(peer, moving, peer.end_wanted)
        elif service is not None and service.present and self._to_service(peer, moving, service, message):
            return
        elif self.gossipd.closed:
            self._close(peer, moving, "gossipd is away")
            self.on_lost(peer.info.node_id)
        else:
            self._step(peer, Event.HANDLE_PEER, GOSSIPD)
            order = control_wire.HandlePeer(
                peer.info, moving.state, answer, moving.gossip_state, moving.peer_fd, moving.gossip_fd
            )
            tell(self.gossipd, order)

    def _close(self, peer: Peer, moving: MovingConnection, reason: str) -> None:
        """End what the master holds, without a word to the peer."""
        moving.close()
        self._end(peer, Event.PEER_DISCONNECTED, peer.end_wanted or reason)

    def _to_service(self, peer: Peer, moving: MovingConnection, service: Registered, message: bytes | None) -> bool:
        """To its program, or to connectiond. False if there is neither: then nothing has moved."""
        if self.strangers.refuses(peer.info):
            return False
        if service.program is not None:
            about = (peer.info, moving, message, self.registrations.routes(), self.strangers.network_of(peer.info))
            if started := self.programs.start(service.program, *about):
                self._step(peer, Event.TAKE_PEER, service.name)
            return started
        if self.connectiond is None:
            return False
        assert moving.gossip_fd is not None
        self.at_connectiond.add(peer.info.conn_id)
        self._step(peer, Event.TAKE_PEER_FOR_BUS, service.name)
        fds = (moving.peer_fd, moving.gossip_fd)
        tell(
            self.connectiond, control_wire.TakePeer(service.name, peer.info, message, moving.state, *fds, self._timing)
        )
        return True

    def disconnect(self, peer: Peer, reason: str, last_words: list[bytes] | None = None) -> None:
        """Have a connection ended by its owner; `peer.gone` tells when it is done."""
        if peer.end_wanted is not None:
            return
        peer.end_wanted = reason
        order = control_wire.Disconnect(peer.info.node_id, peer.info.conn_id, last_words or [], reason)
        if not self.programs.disconnect(order):
            tell(self.channel_of(peer), order)
        self._step(peer, Event.DISCONNECT, peer.owner)

    def release(self, peer: Peer, service: Registered) -> None:
        """Have gossipd give a connection up, for this service. Raises ValueError if gossipd has not got it."""
        if peer.state not in (State.GOSSIPD, State.GIVEN):
            raise ValueError(f"the connection is {peer.owner}'s")
        self._step(peer, Event.RELEASE_PEER, peer.owner)
        self.wanted_by[peer.info.conn_id] = service
        tell(self.gossipd, control_wire.ReleasePeer(peer.info.node_id, peer.info.conn_id))

    def release_nodes(self, service: Registered, node_ids: Iterable[bytes]) -> None:
        """Have gossipd give up what it has of these nodes, for this service."""
        wanted = frozenset(node_ids)
        for peer in self.peers:
            if peer.info.node_id in wanted and peer.state in (State.GOSSIPD, State.GIVEN):
                self.release(peer, service)

    def _came(self, peer: Peer) -> None:
        info, peer.told_owner = peer.info, peer.owner
        came = f"connected: {'from' if info.incoming else 'to'} {info.address}"
        status.by_stranger("connected", came, info.node_id, info.address, INFO)
        for listener in self.came:
            listener(peer)

    def _step(self, peer: Peer, event: Event, owner: str) -> None:
        """Go on by this message; listeners are told if the owner is another one."""
        peer.step(event, owner)
        if owner not in (peer.told_owner, MASTER):
            peer.told_owner = owner
            for listener in self.moved:
                listener(peer)

    def _part(self, conn_id: int) -> None:
        """Its owner has it no longer."""
        self.programs.part_with(conn_id)
        self.at_connectiond.discard(conn_id)

    def _end(self, peer: Peer, event: Event, reason: str) -> None:
        """A connection is gone: connectd and the listeners are told, once."""
        info, reason = peer.info, reason[:LONGEST]
        self._step(peer, event, peer.owner)
        self.peers.forget(peer)
        self.wanted_by.pop(info.conn_id, None)
        self.claims.remember_gone(info.conn_id)
        status.by_stranger("disconnected", f"disconnected: {reason}", info.node_id, info.address, INFO)
        tell(self.connectd, control_wire.PeerDisconnected(info.node_id, info.conn_id, reason))
        for listener in self.went:
            listener(peer, reason)

    async def arrival(self, conn_id: int) -> Peer | None:
        """The connection of that number, as soon as the master has heard of it; None if it has ended already."""
        return None if self.claims.is_gone(conn_id) else await self.peers.arrival(conn_id)

    def channel_of(self, peer: Peer) -> ControlChannel:
        """Where the owner of a connection hears us."""
        if peer.info.conn_id in self.at_connectiond and self.connectiond is not None:
            return self.connectiond
        return self.programs.channel_of(peer.info.conn_id) or self.gossipd

    def owners(self) -> list[ControlChannel]:
        """Where each owner of connections hears us."""
        connectiond = [self.connectiond] if self.connectiond is not None else []
        return [self.gossipd, *connectiond, *self.programs.channels()]

    def connectiond_died(self) -> None:
        """All that it had is lost."""
        for conn_id in tuple(self.at_connectiond):
            self._lost_by_daemon(self._known(conn_id), "connectiond has died")
            self.at_connectiond.discard(conn_id)

    def gossipd_died(self) -> None:
        """All that it had, or was given, is lost."""
        self.claims.forget_held()
        for peer in self.peers:
            if self.channel_of(peer) is self.gossipd:
                self._lost_by_daemon(peer, "gossipd has died")

    def _lost_by_daemon(self, peer: Peer, reason: str) -> None:
        self._end(peer, Event.OWNER_DIED, reason)
        self.on_lost(peer.info.node_id)

    def _lost(self, conn_id: int, reason: str) -> None:
        """Its owner is gone, and it with it."""
        self._end(self._known(conn_id), Event.OWNER_DIED, reason)
