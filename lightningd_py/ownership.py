"""Who gets a connection: the master's decisions, each taken in one step from tables.

While the master holds a connection nobody answers its pings, so nothing here waits for anything. The steps are those
of the table in `peers.py`; `Held` is what the master has in its hands between two of them.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lightningd_py.option_values import Service
from lightningd_py.peers import Event, Peer, Peers, State
from lightningd_py.services import Program, Services, flaw, start_program
from wire import control_wire
from wire.control_channel import ControlChannel
from wire.control_wire import ControlMessage, Fd, GossipState
from wire.frames import PeerState
from wire.peer_wire import WarningMessage, message_name
from wire.status import Status
from wire.timing import Timing
from wire.unserved import answer_without_service, flaw_without_service

MASTER = "master"
GOSSIPD = "gossipd"

ALL_CHANNELS = bytes(32)
MOST_REMEMBERED = 10_000
"""Connections that have ended lately: a late word about one of them is no surprise."""

status = Status("lightningd")


@dataclass(slots=True)
class Held:
    """A connection in the master's hands."""

    state: PeerState
    peer_fd: Fd
    gossip_fd: Fd | None
    gossip_state: GossipState | None = None

    def close(self) -> None:
        """End it."""
        os.close(self.peer_fd)
        if self.gossip_fd is not None:
            os.close(self.gossip_fd)


def _tell(channel: ControlChannel, message: ControlMessage) -> None:
    """Say it to a daemon. If that is gone the node ends, and its connections with it."""
    if channel.closed:
        message.close_fds()
    else:
        channel.send(message)


def _objection(program: Program, message: ControlMessage) -> str | None:
    """Why a program may not say this. None if it may."""
    conn_id = getattr(message, "conn_id", program.conn_id)
    if program.finished or conn_id != program.conn_id:
        return f"connection {conn_id} is not its own"
    return flaw(message) if isinstance(message, control_wire.PeerGivenBack) else None


class Ownership:
    """The table of connections, and everything that moves one."""

    def __init__(
        self,
        services: Services,
        connectd: ControlChannel,
        gossipd: ControlChannel,
        timing: Timing,
        error_heard: Callable[[Peer, bytes], None],
        hsm_socket: Callable[[str], Fd | None] = lambda service: None,
    ) -> None:
        """`error_heard`: a peer's `error` or `warning`. `hsm_socket`: a socket to hsmd if that service may sign."""
        self.peers = Peers()
        self.came: Callable[[Peer], None] = lambda peer: None
        """Called with each new connection."""
        self.went: Callable[[Peer, str], None] = lambda peer, reason: None
        """Called with each connection that has ended, and why."""
        self.services = services
        self._connectd = connectd
        self._gossipd = gossipd
        self._timing = timing
        self._release_timeout = timing.release_timeout
        self._error_heard = error_heard
        self._hsm_socket = hsm_socket
        self.on_copy: Callable[[control_wire.PeerMessage], None] = lambda message: None
        """Hears each copy that an owner sends up."""
        self._programs: dict[int, Program] = {}
        self._leaving: set[Program] = set()
        self._gone: set[int] = set()
        self._gone_order: deque[int] = deque()
        self._ends_wanted: dict[int, str] = {}
        self._wanted_by: dict[int, Service] = {}

    # from connectd

    def peer_connected(self, message: control_wire.PeerConnected) -> None:
        """A connection, fresh from INIT: to its service, or to gossipd."""
        peer = self.peers.begin(message.peer, Event.PEER_CONNECTED, MASTER)
        self.came(peer)
        held = Held(message.state, message.peer_fd, message.gossip_fd)
        self._place(peer, held, self.services.for_node(message.peer.node_id), None, [])

    def peer_reconnected(self, message: control_wire.PeerReconnected) -> None:
        """The same node waits with a newer connection: this one must end. On the direct path we may not have heard of
        it yet; then it ends as soon as gossipd says that it has it.
        """
        reason = "the node has connected again"
        peer = self.peers.get(message.conn_id)
        if peer is not None:
            self.disconnect(peer, reason)
        elif message.conn_id not in self._gone:
            self._ends_wanted[message.conn_id] = reason

    # from owners

    def peer_taken(self, message: control_wire.PeerTaken) -> None:
        """gossipd has it: given by us, or by connectd on the direct path."""
        peer = self.peers.get(message.peer.conn_id)
        if peer is None:
            peer = self.peers.begin(message.peer, Event.PEER_TAKEN, GOSSIPD)
            self.came(peer)
        else:
            peer.step(Event.PEER_TAKEN, GOSSIPD)
        reason = self._ends_wanted.pop(message.peer.conn_id, None)
        if reason is not None:
            self.disconnect(peer, reason)

    def peer_nongossip(self, message: control_wire.PeerNongossip) -> None:
        """A message that is not gossipd's, with its connection."""
        peer = self._known(message.conn_id)
        peer.step(Event.PEER_NONGOSSIP, MASTER)
        held = Held(message.state, message.peer_fd, message.gossip_fd)
        status.debug(f"{message_name(message.message_type)}", message.node_id)
        service = self.services.for_message(message.message_type)
        about = (message.message_type, message.channel_id)
        reason = flaw_without_service(*about) if service is None else None
        self._place(peer, held, service, message.message, [] if reason else answer_without_service(*about))
        if reason is not None:
            self.disconnect(peer, reason, [WarningMessage(ALL_CHANNELS, reason.encode()).encode()])

    def release_peer_reply(self, message: control_wire.ReleasePeerReply) -> None:
        """A connection that was asked for."""
        peer = self._known(message.conn_id)
        peer.step(Event.RELEASE_PEER_REPLY, MASTER)
        held = Held(message.state, message.peer_fd, message.gossip_fd)
        self._place(peer, held, self._wanted_by.pop(message.conn_id, None), None, [])

    def release_peer_replyfail(self, message: control_wire.ReleasePeerReplyfail) -> None:
        """It is not there any more: another message has said, or will say, where it went."""
        self._wanted_by.pop(message.conn_id, None)
        peer = self.peers.get(message.conn_id)
        if peer is not None:
            peer.step(Event.RELEASE_PEER_REPLYFAIL, peer.owner)

    def peer_given_back(self, message: control_wire.PeerGivenBack) -> None:
        """Its owner is done with it."""
        peer = self._known(message.conn_id)
        peer.step(Event.PEER_GIVEN_BACK, MASTER)
        self._part_with_program(message.conn_id)
        held = Held(message.state, message.peer_fd, message.gossip_fd, message.gossip_state)
        self._place(peer, held, None, None, message.send)

    def peer_disconnected(self, message: control_wire.PeerDisconnected) -> None:
        """It has ended."""
        self._end(self._known(message.conn_id), Event.PEER_DISCONNECTED, message.reason)
        self._part_with_program(message.conn_id)

    def peer_fault(self, message: control_wire.PeerFault) -> None:
        """Its gossip has earned its end, while somebody else has it."""
        peer = self.peers.get(message.conn_id)
        if peer is not None:
            self.disconnect(peer, message.reason)

    def peer_message(self, message: control_wire.PeerMessage) -> None:
        """A copy of what it said."""
        peer = self.peers.get(message.conn_id)
        if peer is not None:
            self._error_heard(peer, message.message)
        self.on_copy(message)

    # decisions

    def _known(self, conn_id: int) -> Peer:
        peer = self.peers.get(conn_id)
        if peer is None:
            raise RuntimeError(f"connection {conn_id} is not known")
        return peer

    def _place(
        self, peer: Peer, held: Held, service: Service | None, message: bytes | None, answer: list[bytes]
    ) -> None:
        """Give away what the master holds: to the service, or with the answer to gossipd."""
        if peer.end_wanted is not None:
            held.close()
            self._end(peer, Event.PEER_DISCONNECTED, peer.end_wanted)
        elif service is None or not self._to_program(peer, held, service, message):
            peer.step(Event.HANDLE_PEER, GOSSIPD)
            order = control_wire.HandlePeer(
                peer.info, held.state, answer, held.gossip_state, held.peer_fd, held.gossip_fd
            )
            _tell(self._gossipd, order)

    def _to_program(self, peer: Peer, held: Held, service: Service, message: bytes | None) -> bool:
        """Start the service's program with the connection. False if it cannot be started."""
        conn_id = peer.info.conn_id
        assert held.gossip_fd is not None
        try:
            program = start_program(
                service,
                conn_id,
                lambda said: self._from_program(program, said),
                lambda reason: self._program_closed(program),
                lambda exit_status: self._program_exited(program, exit_status),
            )
        except OSError as error:
            status.unusual(f"service {service.name} cannot be started: {error}", peer.info.node_id)
            return False
        self._programs[conn_id] = program
        peer.step(Event.TAKE_PEER, service.name)
        program.channel.send(control_wire.SetMessageRoutes(self.services.routes()))
        program.channel.send(
            control_wire.TakePeer(
                service.name,
                peer.info,
                message,
                held.state,
                held.peer_fd,
                held.gossip_fd,
                self._timing,
                self._hsm_socket(service.name),
            )
        )
        return True

    def disconnect(self, peer: Peer, reason: str, last_words: list[bytes] | None = None) -> None:
        """Have a connection ended by its owner; `peer.gone` tells when it is done."""
        if peer.end_wanted is not None:
            return
        peer.end_wanted = reason
        info = peer.info
        order = control_wire.Disconnect(info.node_id, info.conn_id, last_words or [], reason)
        program = self._programs.get(info.conn_id)
        if program is not None:
            program.channel.send(order)
            loop = asyncio.get_running_loop()
            loop.call_later(self._release_timeout, self._lose_patience, program)
        else:
            _tell(self._gossipd, order)
        peer.step(Event.DISCONNECT, peer.owner)

    def release(self, peer: Peer, service: Service) -> None:
        """Have gossipd give a connection up, for this service. Raises ValueError if gossipd has not got it."""
        if peer.state not in (State.GOSSIPD, State.GIVEN):
            raise ValueError(f"the connection is {peer.owner}'s")
        peer.step(Event.RELEASE_PEER, peer.owner)
        self._wanted_by[peer.info.conn_id] = service
        _tell(self._gossipd, control_wire.ReleasePeer(peer.info.node_id, peer.info.conn_id))

    def _end(self, peer: Peer, event: Event, reason: str) -> None:
        """A connection is gone: everybody who must know is told, once."""
        info = peer.info
        peer.step(event, peer.owner)
        self.peers.forget(peer)
        self._gone.add(info.conn_id)
        self._gone_order.append(info.conn_id)
        if len(self._gone_order) > MOST_REMEMBERED:
            self._gone.discard(self._gone_order.popleft())
        status.info(f"disconnected: {reason}", info.node_id)
        _tell(self._connectd, control_wire.PeerDisconnected(info.node_id, info.conn_id, reason))
        self.went(peer, reason)

    async def arrival(self, conn_id: int) -> Peer | None:
        """The connection of that number, as soon as the master has heard of it; None if it has ended already."""
        return None if conn_id in self._gone else await self.peers.arrival(conn_id)

    def channel_of(self, peer: Peer) -> ControlChannel:
        """Where the owner of a connection hears us."""
        program = self._programs.get(peer.info.conn_id)
        return program.channel if program is not None else self._gossipd

    def owners(self) -> list[ControlChannel]:
        """Everybody who owns connections."""
        return [self._gossipd, *(program.channel for program in self._programs.values())]

    # programs

    def _from_program(self, program: Program, message: ControlMessage) -> None:
        """What a program says; it may speak of its own connection only, and only while it has it."""
        reason = _objection(program, message)
        if reason is not None:
            status.unusual(f"service {program.service.name} said {message.name()}: {reason}: killed")
            message.close_fds()
            program.process.kill()
            return
        match message:
            case control_wire.PeerGivenBack():
                self.peer_given_back(message)
            case control_wire.PeerDisconnected():
                self.peer_disconnected(message)
            case control_wire.PeerMessage():
                self.peer_message(message)
            case _:
                status.unusual(f"service {program.service.name} said {message.name()}: ignored")

    def _part_with_program(self, conn_id: int) -> None:
        """A program has let go of its connection: it gets some time to exit by itself."""
        program = self._programs.pop(conn_id, None)
        if program is not None:
            program.finished = True
            for unsent in program.channel.close():
                unsent.close_fds()
        if program is not None and program.process.running:
            self._leaving.add(program)
            asyncio.get_running_loop().call_later(self._release_timeout, self._lose_patience, program)

    def _program_closed(self, program: Program) -> None:
        """Its control socket is closed: what it has not given back is lost, and it must not go on with that."""
        if self._programs.get(program.conn_id) is program:
            program.process.kill()
            reason = f"service {program.service.name} has left it"
            self._end(self._known(program.conn_id), Event.OWNER_DIED, reason)
            self._part_with_program(program.conn_id)

    def _program_exited(self, program: Program, exit_status: int) -> None:
        if exit_status:
            status.unusual(f"service {program.service.name} (process {program.process.pid}) exited with {exit_status}")
        self._leaving.discard(program)

    def _lose_patience(self, program: Program) -> None:
        if program.process.running:
            status.unusual(f"service {program.service.name} (process {program.process.pid}) does not let go: killed")
            program.process.kill()

    async def close(self) -> None:
        """End all programs, and with them their connections."""
        programs = [*self._programs.values(), *self._leaving]
        for program in programs:
            for unsent in program.channel.close():
                unsent.close_fds()
        self._programs.clear()
        for program in programs:
            await program.process.wait(self._release_timeout)
