"""connectiond owns the connections of services that talk ZMQ, and bridges them to the MSG bus.

    python -S -P -m connectd.connectiond CONTROL_FD LOGLEVEL        as the master starts it

Connections come in `take_peer` and leave in `peer_given_back`, when no service has a part in them any more, or in
`peer_nongossip`, with a message that no service got. `hub.py` has the tour of what is between.
"""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

import zmq

from connectd.connectiond.bus import LONGEST, BusEndpoint, MsgBus
from connectd.connectiond.hub import Hub
from connectd.connectiond.lines.here import Bridged, BridgedLine
from connectd.connectiond.lines.line import Line
from connectd.connectiond.moving import Connections, Move, Predecessor
from wire.bus.bus_message import BusError
from wire.bus.curve import CurveError
from wire.bus.curve_files import readable_keys
from wire.control import control_wire
from wire.control.binding import BindFailed
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import ConnectiondInit, PeerInfo, TakePeer
from wire.control.daemon import EXIT_OK, exit_status
from wire.control.privilege import raise_fd_limit
from wire.control.status import Status, lines_lost
from wire.metrics import declared
from wire.metrics.metric import Samples
from wire.net.duties import copy_of, ping_reply, send_message_reply, type_and_channel
from wire.net.moving import MoveFailed
from wire.net.sockman.farewell import MOST_FAREWELLS
from wire.peer_types import ALL_CHANNELS
from wire.peer_wire import WarningMessage
from wire.routing import Routes

FDS_BESIDES = 512 + MOST_FAREWELLS
"""File descriptors for other things than connections: ZMQ's, those of services, and farewells."""
FDS_EACH = 2
"""Of a connection: its own and its gossip fd."""
GO_AWAY = WarningMessage(ALL_CHANNELS, b"too many peers here").encode()

status = Status("connectiond")


class Connectiond:
    """The daemon under the master. Implements `connections.Above`."""

    _hub: Hub
    _bridged: Bridged
    _most: int

    def __init__(
        self,
        control: socket.socket,
        stop: Callable[[int], None],
        restrict: Callable[[list[Path]], None] = lambda readable: None,
    ) -> None:
        """`restrict` gives up opening files, but for what is readable."""
        self._restrict = restrict
        self._routes = Routes()
        self._bus: MsgBus | None = None
        self._refused = False
        self._stop = stop
        self._predecessor: Predecessor | None = None
        self._waits = False
        """Another connectiond has all that is to be ours;"""
        self._told: list[ControlMessage] = []
        """and what the master says meanwhile waits."""
        self._moving: asyncio.Task[None] | None = None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._master = ControlChannel(control, "master", self._from_master, lambda _: stop(exit_status(self._master)))

    def close(self) -> None:
        """The end."""
        if self._predecessor is not None:
            self._predecessor.close()
        if self._bus is not None:
            self._hub.close()
            self._bridged.close()
            if self._waits:
                self._bus.leave()
            else:
                self._bus.close("the node ends")
        self._context.term()
        for message in self._master.close():
            message.close_fds()

    def _tell(self, message: ControlMessage) -> None:
        """Say it to the master. If that has gone, so are we in a moment."""
        if self._master.closed:
            message.close_fds()
        else:
            self._master.send(message)

    # from the master

    def _from_master(self, message: ControlMessage) -> None:
        match message:
            case ConnectiondInit():
                self._init(message)
            case control_wire.SetMessageRoutes(routes=routes):
                self._routes.replace(routes)
            case control_wire.GetMetrics():
                self._master.reply(message, self._metrics())
            case _ if self._refused:  # what the master said before it heard that there is no bus
                message.close_fds()
            case _ if self._bus is None:
                raise RuntimeError(f"{message.name()} before connectiond_init")
            case control_wire.SetLimits(limits=limits):
                self._bridged.change_limits(limits)
            case control_wire.ChangeServiceRegistrations():
                self._hub.registered(message)
            case control_wire.TakePlace(predecessor_fd=fd) if self._waits:
                self._predecessor = Predecessor(fd, self._begin, lambda: self._stop(EXIT_OK))
            case _ if self._waits:
                self._told.append(message)
            case control_wire.MoveAll():
                self._moving = asyncio.get_running_loop().create_task(self._move_all(self._bus, message))
            case TakePeer():
                self._take(message)
            case control_wire.Disconnect(conn_id=conn_id, send=send, reason=reason):
                self._hub.disconnect(conn_id, send, reason)
            case control_wire.GiveBack(conn_id=None):
                self._hub.give_all_back()
                self._tell(control_wire.AllGivenBack())
            case control_wire.GiveBack(conn_id=int(conn_id)):
                self._hub.give_back(conn_id)
            case control_wire.ListPeers():
                self._master.reply(message, control_wire.ListPeersReply(self._bridged.stats()))
            case control_wire.SendMessage():
                self._send_message(message)
            case control_wire.Ping():
                self._ping(message)
            case _:
                raise RuntimeError(f"connectiond does not know {message.name()}")

    def _init(self, message: ConnectiondInit) -> None:
        timing = message.timing
        self._most = max(1, (raise_fd_limit() - FDS_BESIDES) // FDS_EACH)
        self._hub = Hub(self, self._routes, asyncio.get_running_loop().call_later)
        try:
            self._restrict(readable_keys(message.msg, Path(message.curve)))
            bound = BusEndpoint(
                self._context, message.msg, Path(message.curve), longest=LONGEST, waits=message.takes_place
            )
        except (BindFailed, CurveError) as error:
            self._refused = True
            self._master.reply(message, control_wire.ConnectiondInitReplyfail(str(error)))
            return
        self._bus, self._waits = MsgBus(bound, self._hub, timing), message.takes_place
        self._bridged = Bridged(self._routes, timing, message.limits, lambda: not self._master.behind)
        self._bridged.events, self._bridged.on_copy = self._hub, self._copy
        self._master.on_drained = self._bridged.resume
        self._master.reply(message, control_wire.ConnectiondInitReply(self._bus.endpoint))

    # a restart

    def _connections(self, bus: MsgBus) -> Connections:
        def lost(info: PeerInfo, reason: str) -> None:
            self._tell(control_wire.PeerDisconnected(info.node_id, info.conn_id, reason))

        return Connections(self._hub, self._bridged, bus, self._bridged.timing, lost)

    def _begin(self, predecessor: Predecessor) -> None:
        """All that another connectiond had is ours."""
        bus, rest, listener = self._bus, predecessor.rest, predecessor.listener_fd
        assert bus is not None and rest is not None and listener is not None
        self._waits = False
        bus.sessions.take(rest.sessions)
        self._connections(bus).put_together(rest.ended, predecessor.held)
        bus.listen(listener)
        told, self._told = self._told, []
        for message in told:
            self._from_master(message)

    async def _move_all(self, bus: MsgBus, message: control_wire.MoveAll) -> None:
        """To another connectiond; then what only we can finish is left to do here."""
        move = Move(self._connections(bus), message.successor_fd)
        try:
            moved, lost = await move.run()
        except MoveFailed as failed:
            self._master.reply(message, control_wire.MoveAllReplyfail(str(failed)))
            return
        self._bus = None
        self._master.reply(message, control_wire.MoveAllReply(moved, 0, lost))
        await move.close(lambda: not self._master.queued)
        self._stop(EXIT_OK)

    def _metrics(self) -> control_wire.GetMetricsReply:
        samples = Samples()
        samples.put(declared.QUEUE, self._master.queued, "to_master")
        if self._bus is not None:
            samples.put(declared.BUS_CONNECTIONS, len(self._bridged))
            self._bridged.tally.put_into(samples)
            samples.put(declared.COPIES_REPLACED, self._bridged.seldom.lost)
        samples.put(declared.LOG_LOST, lines_lost())
        return samples.reply()

    def _take(self, message: TakePeer) -> None:
        if message.hsm_fd is not None:
            os.close(message.hsm_fd)
        info = message.peer
        try:
            line = self._bridged.begin(message)
        except (OSError, ValueError) as error:
            reason = f"no connection came: {error}"
            self._tell(control_wire.PeerDisconnected(info.node_id, info.conn_id, reason))
            return
        if len(self._bridged) > self._most:  # or what is told us next would come without its fds
            status.unusual(f"there are {self._most} peers, for want of file descriptors: no more are taken")
            line.end("too many peers", [GO_AWAY])
            self.disconnected(line, "too many peers")
            return
        self._hub.take(line, message.service, message.message)

    def _send_message(self, message: control_wire.SendMessage) -> None:
        line = self._bridged.find(message.conn_id)
        reply = send_message_reply(None if line is None else line.outbox.waiting)
        if isinstance(reply, control_wire.SendMessageReply):
            self._hub.say(message.conn_id, message.message)
        self._master.reply(message, reply)

    def _ping(self, message: control_wire.Ping) -> None:
        line = self._bridged.find(message.conn_id)
        if line is None:
            self._master.reply(message, control_wire.PingReplyfail("the peer is not here"))
            return

        def answered(total: int | None) -> None:
            self._master.reply(message, ping_reply(total))

        line.ping(message.num_pong_bytes, message.ignored_len, answered)

    # to the master

    def returned(self, line: Line, message: bytes | None) -> None:
        """No service has a part in it any more."""
        assert isinstance(line, BridgedLine)
        info = line.info
        state, peer_fd, gossip_fd = self._bridged.hand_over(line)
        if message is None:
            self._tell(control_wire.PeerGivenBack(info.node_id, info.conn_id, state, [], None, peer_fd, gossip_fd))
        elif gossip_fd is not None:
            about = (info.node_id, info.conn_id, message, *type_and_channel(message))
            self._tell(control_wire.PeerNongossip(*about, state, peer_fd, gossip_fd))
        else:
            os.close(peer_fd)
            self.disconnected(line, "gossipd is gone")

    def disconnected(self, line: Line, reason: str) -> None:
        """A connection has ended."""
        self._tell(control_wire.PeerDisconnected(line.peer.node_id, line.peer.conn_id, reason))

    def owner(self, line: Line, service: str) -> None:
        """Another service stands for it."""
        self._tell(control_wire.PeerOwner(line.peer.node_id, line.peer.conn_id, service))

    def service_admitted(self, service: str) -> None:
        """A service has said hello: what it says to the master when it is welcome comes after this.

        Raises BusError while the master does not keep up.
        """
        if self._master.behind:
            raise BusError("the node does not keep up: say hello again in a moment")
        self._tell(control_wire.ServicePresence(service, True, "it has said hello"))

    def service_came(self, service: str) -> None:
        """The master knows it."""

    def service_left(self, service: str, reason: str) -> None:
        """A service has left."""
        self._tell(control_wire.ServicePresence(service, False, reason))

    def copy_up(self, line: Line, message: bytes) -> None:
        """A copy of what a peer said; some go up seldom."""
        if self._bridged.may_copy(line.peer.conn_id, message):
            self._copy(line, message)

    def _copy(self, line: Line, message: bytes) -> None:
        """Not if the master takes nothing."""
        if not self._master.behind:
            self._tell(copy_of(line.peer, message))

    def catch_up(self) -> None:
        """Read what the master has said already."""
        self._master.catch_up()
