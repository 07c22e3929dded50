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

The node's key is never here: hsmd multiplies for us.

This file connects the parts, and answers the master.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from socket import socket

from connectd.arrivals import Arrivals
from connectd.connection import Connection
from connectd.connections import Connections
from connectd.doors.listen import BindRules, Listeners, in_order
from connectd.doors.tor import OnionServices, TorSettings
from connectd.doors.websocket_door import WebRules, WebSocketDoor
from connectd.hand_over import HandOver
from connectd.handshake import Handshake
from connectd.one_per_node import Candidate, OnePerNode
from connectd.reach.addresses import AddressBook
from connectd.reach.dial import Dialler, ReachFailed
from connectd.reach.seeds import bootstrap
from connectd.reach.ways_out import WaysOut
from connectd.tasks import Tasks
from wire.address import DEFAULT_PORTS, parse_address
from wire.control.access import Access
from wire.control.binding import BindFailed, parse_binding
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    Activate,
    ActivateReply,
    Bootstrap,
    ChangeNodeRegistrations,
    ConnectdInit,
    ConnectdInitReply,
    ConnectdInitReplyfail,
    Ecdh,
    EcdhReply,
    GetMetrics,
    GetMetricsReply,
    GossipGetAddrs,
    GossipGetAddrsReply,
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
    WebsocketSource,
)
from wire.control.daemon import EXIT_BROKEN, exit_status, inherited_socket
from wire.control.status import Status
from wire.net.sockman.sockman import SockMan, SockManOptions
from wire.types import NETWORKS

ALONE_FOR = 1.0
"""Seconds between the end of another daemon and ours, if the master lives: it may only be the first to go."""

GOSSIPD_PATIENCE = 10.0
"""Seconds for gossipd to say which addresses a node has announced."""

MOST_ON_THE_WAY = 64
"""Connections that may wait for gossipd or the master to take them, before we stop to accept."""

status = Status("connectd")


@dataclass(frozen=True, slots=True)
class _Parts:
    """What exists after `connectd_init`."""

    connections: Connections
    access: Access
    handshake: Handshake
    websockets: WebSocketDoor | None
    one_per_node: OnePerNode
    book: AddressBook
    hand_over: HandOver
    dialler: Dialler
    use_dns: bool
    routable_only: bool
    """Addresses that no stranger could have are of no use to us: not so in tests."""


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
        self._parts: _Parts | None = None
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

    def _renew_link(self, parts: _Parts, message: NewGossipdLink) -> None:
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
            if not _wants_tor(message):
                self._restrict()  # else Tor says where its cookie lies, and the service's key is kept
            self._parts = self._build(message)
            self._tasks.spawn(self._listen(message, self._parts))
        elif self._parts is not None:
            self._ask(self._parts, message)
        else:
            self._unexpected(message)

    def _ask(self, parts: _Parts, message: ControlMessage) -> None:
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
            case NewGossipdLink():
                self._renew_link(parts, message)
            case NewWebsocketdLink(websocket_fd=fd) if parts.websockets is not None:
                parts.websockets.renew(self._open_websocketd(fd))
            case _:
                self._unexpected(message)

    def _metrics(self, parts: _Parts) -> GetMetricsReply:
        queues = {"to_master": self._master.queued, "to_gossipd": self._link.queued}
        tally = parts.connections.tally
        return tally.reply(parts.dialler.outcomes, len(parts.connections.open), len(parts.one_per_node), queues)

    def _disconnected(self, one_per_node: OnePerNode, message: PeerDisconnected) -> None:
        if not one_per_node.disconnected(message.node_id, message.conn_id):
            status.unusual(f"the end of connection {message.conn_id}, which we do not know", message.node_id)

    async def _listen(self, message: ConnectdInit, parts: _Parts) -> None:
        rules = BindRules(
            port=_default_port(message.chain_hash),
            use_dns=parts.use_dns,
            guess=not message.ways.always_use_proxy,
            announce_any=message.dev_allow_localhost,
        )
        listeners = Listeners(parts.connections, parts.websockets, rules)
        try:
            for text in message.addr:
                await listeners.listen(text, announce=True)
            for text in message.bind:
                await listeners.listen(text, announce=False)
            await listeners.listen_by_tor(self._onion_services(message, parts.connections))
        except BindFailed as error:
            self._master.reply(message, ConnectdInitReplyfail(error=str(error)))
            return
        named = [parse_address(text, rules.port) for text in message.announce]
        announceable = in_order([*named, *listeners.announceable])
        self._master.reply(
            message,
            ConnectdInitReply(bindings=listeners.bindings, announceable=[str(address) for address in announceable]),
        )

    async def _reach(self, dialler: Dialler, message: ReachPeer) -> None:
        try:
            peer = await dialler.reach(message.node_id, message.addrhints)
        except ReachFailed as failed:
            reply = ReachPeerReplyfail(error=str(failed), code=failed.code, errors=failed.errors)
            self._master.reply(message, reply)
        else:
            self._master.reply(message, ReachPeerReply(peer=peer))

    async def _bootstrap(self, parts: _Parts, message: Bootstrap) -> None:
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
        """All that accepts strangers."""
        parts = self._parts
        return [door for door in (parts.connections, parts.websockets) if door is not None] if parts else []

    def _has_room(self) -> bool:
        channels = self._master, self._link
        return sum(channel.queued for channel in channels) < MOST_ON_THE_WAY and not any(
            channel.behind for channel in channels
        )

    # Construction

    def _build(self, init: ConnectdInit) -> _Parts:
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
        port = _default_port(init.chain_hash)
        dialler = Dialler(one_per_node, book, ways_out, arrivals.dial, self._announced, port=port)
        websockets = self._websocket_door(init, connections)
        return _Parts(
            connections,
            access,
            handshake,
            websockets,
            one_per_node,
            book,
            hand_over,
            dialler,
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


def _wants_tor(init: ConnectdInit) -> bool:
    """Whether an onion service is among the doors. What cannot be parsed is none: `_listen` refuses it."""
    port = _default_port(init.chain_hash)
    for text in (*init.addr, *init.bind):
        with suppress(ValueError):
            if parse_binding(text, port).is_onion:
                return True
    return False


def _default_port(chain_hash: bytes) -> int:
    """The port that an address has when it names none."""
    names = [name for name, known in NETWORKS.items() if known == chain_hash]
    return DEFAULT_PORTS[names[0] if names else "bitcoin"]
