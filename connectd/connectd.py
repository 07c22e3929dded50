"""connectd, the daemon that faces the internet. A tour:

The master starts it with three control sockets: to itself, to hsmd, and the link to gossipd. `connectd_init` says who
we are and where to listen (`doors/listen.py`), `activate` opens the doors.

Sockets are SockMan's. `connections.py` subclasses it: each connection has a `Connection` (`connection.py`), an inbox of
bytes that SockMan's events fill and one coroutine empties. That coroutine is in `arrivals.py`, and is the way of every
connection, in or out: the acts of Noise and INIT (`handshake.py`, `initmsg.py`) under one deadline; then its place in
the table of live nodes (`one_per_node.py`), where the newest of two wins and waits for the older one's end; then away
with it (`hand_over.py`), to gossipd over the link or to the master together with a gossip fd. From then on we know
nothing of it but its node_id and conn_id, until the master says `peer_disconnected`.

`reach_peer` is `reach/dial.py`: all addresses of a node in turn, from the hints and successes in `reach/addresses.py`
and from gossipd's map; `reach/ways_out.py` reaches each one directly or through a proxy.

A WebSocket comes in by a door of its own (`doors/websocket_door.py`), and another process, `websocketd/`, unwraps it;
to all else here it is a connection like any. Tor leads strangers to one of our sockets, if asked to (`doors/tor.py`).

At a `restart` another connectd takes the place of this one (`moving.py`): the listening sockets are the master's, so
that none is ever closed.

The node's key is never here: hsmd multiplies for us.

This file connects the parts, and answers the master.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from socket import socket

from connectd.arrivals import Arrivals
from connectd.connection import Connection
from connectd.connections import Connections
from connectd.doors.opening import default_port, open_doors, wants_tor
from connectd.doors.tor import OnionServices, TorSettings
from connectd.doors.websocket_door import WebRules, WebSocketDoor
from connectd.hand_over import HandOver
from connectd.handshake import Handshake
from connectd.moving import Move, Predecessor
from connectd.one_per_node import Candidate, OnePerNode
from connectd.parts import Parts
from connectd.reach.addresses import AddressBook
from connectd.reach.dial import Dialler, ReachFailed
from connectd.reach.seeds import bootstrap
from connectd.reach.ways_out import WaysOut
from connectd.tasks import Tasks
from wire.control.access import Access
from wire.control.binding import BindFailed
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    Activate,
    ActivateReply,
    Bootstrap,
    ChangeNodeRegistrations,
    ConnectdInit,
    ConnectdInitReplyfail,
    Ecdh,
    EcdhReply,
    GetMetrics,
    GetMetricsReply,
    GossipGetAddrs,
    GossipGetAddrsReply,
    MoveAll,
    MoveAllReply,
    MoveAllReplyfail,
    NewGossipdLink,
    NewWebsocketdLink,
    PeerAddrhint,
    PeerDisconnected,
    PeerReconnected,
    PeersElsewhere,
    ReachPeer,
    ReachPeerReply,
    ReachPeerReplyfail,
    SetAccess,
    SetFeatures,
    SetLimits,
    WebsocketSource,
)
from wire.control.daemon import EXIT_BROKEN, exit_status, inherited_socket
from wire.control.status import Status
from wire.net.moving import MoveFailed
from wire.net.sockman.sockman import SockMan, SockManOptions

ALONE_FOR = 1.0
"""Seconds between the end of another daemon and ours, if the master lives: it may only be the first to go."""

GOSSIPD_PATIENCE = 10.0
"""Seconds for gossipd to say which addresses a node has announced."""

MOST_ON_THE_WAY = 64
"""Connections that may wait for gossipd or the master to take them, before we stop to accept."""

status = Status("connectd")


class Connectd:
    """The process, on its running loop. `stop` ends it with an exit status; `restrict` gives up opening files."""

    def __init__(
        self,
        master: socket,
        hsm: socket,
        link: socket,
        stop: Callable[[int], None],
        restrict: Callable[[], None] = lambda: None,
    ) -> None:
        self._stop = stop
        self._restrict = restrict
        self._ending = False
        self._tasks = Tasks()
        self._parts: Parts | None = None
        self._predecessor: Predecessor | None = None
        self._move: Move | None = None
        self._moving: asyncio.Task[None] | None = None
        self._master = ControlChannel(
            master, "master", self._from_master, lambda _: self._end(exit_status(self._master))
        )
        self._hsm = ControlChannel(hsm, "hsmd", self._unexpected, self._alone)
        self._channels = [self._master, self._hsm]
        self._link = self._open_link(link)

    def close(self) -> None:
        """Close whatever is still open."""
        self._ending = True
        for door in self._doors():
            door.close_sockets()
        for other in (self._predecessor, self._move):
            if other is not None:
                other.close()
        for channel in (*self._channels, self._link):
            for message in channel.close():
                message.close_fds()

    # The end

    def _end(self, exit_status: int) -> None:
        self._ending = True
        self._stop(exit_status)

    def _alone(self, reason: str) -> None:
        """A daemon has gone: if all of us are to go, it was only the first to hear of it."""
        self._tasks.later(ALONE_FOR, lambda: self._give_up(reason))

    def _open_link(self, link: socket) -> ControlChannel:
        """If gossipd dies the master restarts it, and we wait for the link to it."""
        channel = ControlChannel(
            link, "gossipd", self._unexpected, lambda reason: self._neighbour_left(channel, reason)
        )
        return channel

    def _neighbour_left(self, channel: ControlChannel, reason: str) -> None:
        """The master restarts it and renews the channel; nothing renews one both of whose ends live."""
        status.debug(reason)
        if channel.broken:
            self._give_up(reason)
        else:
            self._accept_again()

    def _renew_link(self, parts: Parts, message: NewGossipdLink) -> None:
        for unsent in self._link.hear_out():
            unsent.close_fds()
        lost = [] if message.moved else parts.one_per_node.lose_direct(frozenset(message.live))
        for peer in lost:
            reason = "gossipd has died before it had the connection"
            self._master.send(PeerDisconnected(peer.node_id, peer.conn_id, reason))
        self._link = self._open_link(inherited_socket(str(message.link_fd)))
        self._link.on_drained = self._accept_again
        parts.hand_over.new_link(self._link)
        self._accept_again()

    def _give_up(self, reason: str) -> None:
        if not self._ending:
            status.broken(f"cannot go on: {reason}")
            self._end(EXIT_BROKEN)

    def _unexpected(self, message: ControlMessage) -> None:
        status.broken(f"{message.name()} is nothing that connectd is told")
        self._end(EXIT_BROKEN)

    # From the master

    def _from_master(self, message: ControlMessage) -> None:
        if isinstance(message, ConnectdInit) and self._parts is None:
            if not wants_tor(message):
                self._restrict()  # else Tor says where its cookie lies, and the service's key is kept
            self._parts = self._build(message)
            self._tasks.spawn(self._listen(message, self._parts))
        elif self._parts is not None:
            self._ask(self._parts, message)
        else:
            self._unexpected(message)

    def _ask(self, parts: Parts, message: ControlMessage) -> None:
        match message:
            case Activate():
                parts.hand_over.direct = message.direct
                for door in self._doors():
                    door.start(SockManOptions())
                self._master.reply(message, ActivateReply())
            case ReachPeer():
                self._tasks.spawn(self._reach(parts.dialler, message))
            case Bootstrap():
                self._tasks.spawn(self._bootstrap(parts, message))
            case PeerAddrhint():
                parts.book.hint(message.node_id, message.address)
            case SetAccess():
                parts.access.obey(message)
            case GetMetrics():
                self._master.reply(message, self._metrics(parts))
            case SetLimits(limits=limits):
                parts.connections.change_limits(limits)
                if parts.websockets is not None:
                    parts.websockets.rules = replace(parts.websockets.rules, read_rate=limits.read_rate)
            case SetFeatures():
                parts.handshake.features = message.features
            case ChangeNodeRegistrations(added=added, removed=removed):
                parts.hand_over.registered.difference_update(removed)
                parts.hand_over.registered.update(added)
            case PeerDisconnected():
                self._disconnected(parts.one_per_node, message)
            case PeersElsewhere():
                for peer in message.peers:
                    parts.one_per_node.lives_elsewhere(peer)
            case MoveAll():
                self._moving = asyncio.get_running_loop().create_task(self._move_all(parts, message))
            case NewGossipdLink():
                self._renew_link(parts, message)
            case NewWebsocketdLink(websocket_fd=fd) if parts.websockets is not None:
                parts.websockets.renew(self._open_websocketd(fd))
            case _:
                self._unexpected(message)

    def _metrics(self, parts: Parts) -> GetMetricsReply:
        queues = {"to_master": self._master.queued, "to_gossipd": self._link.queued}
        tally = parts.connections.tally
        return tally.reply(parts.dialler.outcomes, len(parts.connections.open), len(parts.one_per_node), queues)

    def _disconnected(self, one_per_node: OnePerNode, message: PeerDisconnected) -> None:
        if not one_per_node.disconnected(message.node_id, message.conn_id):
            status.unusual(f"the end of connection {message.conn_id}, which we do not know", message.node_id)

    async def _listen(self, message: ConnectdInit, parts: Parts) -> None:
        if message.predecessor_fd is not None:
            self._predecessor = Predecessor(message.predecessor_fd, parts, self._tasks)
        try:
            self._master.reply(message, await open_doors(message, parts.connections, parts.websockets, parts.onions))
        except BindFailed as error:
            self._master.reply(message, ConnectdInitReplyfail(error=str(error)))

    async def _move_all(self, parts: Parts, message: MoveAll) -> None:
        """To another connectd; then what only we can finish is left to do here."""
        move = self._move = Move(parts, self._tasks, message.successor_fd)
        try:
            under_way, known = await move.run()
        except MoveFailed as failed:
            self._master.reply(message, MoveAllReplyfail(str(failed)))
            return
        self._master.reply(message, MoveAllReply(under_way, known))
        before = self._predecessor
        await move.finish(lambda: not self._master.queued and (before is None or before.has_ended))
        self._end(0)

    async def _reach(self, dialler: Dialler, message: ReachPeer) -> None:
        try:
            peer = await dialler.reach(message.node_id, message.addrhints)
        except ReachFailed as failed:
            reply = ReachPeerReplyfail(error=str(failed), code=failed.code, errors=failed.errors)
            self._master.reply(message, reply)
        else:
            self._master.reply(message, ReachPeerReply(peer=peer))

    async def _bootstrap(self, parts: Parts, message: Bootstrap) -> None:
        reply = await bootstrap(message, use_dns=parts.use_dns, routable_only=parts.routable_only)
        self._master.reply(message, reply)

    # To the others

    async def _ecdh(self, point: bytes) -> bytes:
        return (await self._hsm.request(Ecdh(point=point), EcdhReply)).shared_secret

    async def _announced(self, node_id: bytes) -> list[str]:
        try:
            async with asyncio.timeout(GOSSIPD_PATIENCE):
                return (await self._link.request(GossipGetAddrs(node_id=node_id), GossipGetAddrsReply)).addresses
        except (ChannelClosed, TimeoutError):  # gossipd is restarting, or hangs: what others know must do
            return []

    def _on_duplicate(self, node_id: bytes, conn_id: int) -> None:
        self._master.send(PeerReconnected(node_id=node_id, conn_id=conn_id))

    def _accept_again(self) -> None:
        for door in self._doors():
            door.update_accepting()

    def _doors(self) -> list[SockMan]:
        return self._parts.doors if self._parts is not None else []

    def _has_room(self) -> bool:
        if self._parts is None or self._parts.hand_over.held:
            return False
        channels = self._master, self._link
        return sum(channel.queued for channel in channels) < MOST_ON_THE_WAY and not any(
            channel.behind for channel in channels
        )

    # Construction

    def _build(self, init: ConnectdInit) -> Parts:
        def accepted(connection: Connection) -> None:
            arrivals.accepted(connection)

        def candidate_came(candidate: Candidate) -> None:
            dialler.candidate_came(candidate)

        access = Access()
        connections = Connections(init.conn_id, accepted, init.limits, access, self._has_room)
        self._master.on_drained = self._link.on_drained = self._accept_again
        one_per_node = OnePerNode(init.node_id, self._on_duplicate, candidate_came, connections.established)
        seconds = init.timing.connection_timeout
        hand_over = HandOver(connections, one_per_node, self._master, self._link, seconds)
        handshake = Handshake(
            node_id=init.node_id, chain_hash=init.chain_hash, features=init.features, ecdh=self._ecdh, access=access
        )
        ways_out = WaysOut(connections, init.ways, seconds)
        arrivals = Arrivals(
            connections,
            handshake,
            one_per_node,
            hand_over,
            ways_out,
            self._tasks,
            node_id=init.node_id,
            timeout=seconds,
        )
        book = AddressBook()
        port = default_port(init.chain_hash)
        dialler = Dialler(one_per_node, book, ways_out, arrivals.dial, self._announced, port=port)
        websockets = self._websocket_door(init, connections)
        return Parts(
            connections=connections,
            access=access,
            handshake=handshake,
            websockets=websockets,
            onions=self._onion_services(init, connections),
            one_per_node=one_per_node,
            book=book,
            hand_over=hand_over,
            arrivals=arrivals,
            dialler=dialler,
            use_dns=init.ways.use_dns and not init.ways.always_use_proxy,
            routable_only=not init.dev_allow_localhost,
        )

    def _onion_services(self, init: ConnectdInit, connections: Connections) -> OnionServices:
        settings = TorSettings(init.tor_password, Path(init.tor_keys), init.timing.connection_timeout)
        return OnionServices(settings, self._tasks.spawn, connections.event_onion_listen)

    def _websocket_door(self, init: ConnectdInit, connections: Connections) -> WebSocketDoor | None:
        if init.websocket_fd is None:
            return None
        proxies = tuple(ip_network(each) for each in init.web_proxies)
        rules = WebRules(proxies, init.limits.read_rate, init.timing.connection_timeout)
        return WebSocketDoor(connections, self._open_websocketd(init.websocket_fd), rules)

    def _open_websocketd(self, fd: Fd) -> ControlChannel:
        """If websocketd dies the master restarts it, and we wait for the socket to it."""
        sock = inherited_socket(str(fd))
        channel = ControlChannel(
            sock, "websocketd", self._from_websocketd, lambda reason: self._neighbour_left(channel, reason)
        )
        return channel

    def _from_websocketd(self, message: ControlMessage) -> None:
        if isinstance(message, WebsocketSource) and self._parts is not None and self._parts.websockets is not None:
            self._parts.websockets.websocket_source(message)
        else:
            self._unexpected(message)
