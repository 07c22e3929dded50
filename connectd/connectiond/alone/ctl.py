"""The CTL bus of a connectiond that runs on its own: who is there, who wants what, who is connected.

The messages are those of the node's CTL (docs/bus.md). What only a node can do is refused in one sentence.
"""

from typing import TYPE_CHECKING, Protocol

from connectd.connectiond.alone.options import Settings
from connectd.connectiond.alone.peers import StandalonePeers
from connectd.connectiond.alone.registrations import StandaloneRegistrations, Wishes
from connectd.connectiond.bus import BusEndpoint
from connectd.connectiond.lines.elsewhere import DistantLine
from connectd.reach.dial import ReachFailed
from connectd.tasks import Tasks
from wire.address import parse_address
from wire.bus.bus_message import BusError, BusMessage, Id
from wire.bus.bus_wire import (
    LIGHTNINGD,
    BusPeer,
    Connect,
    Connected,
    Disconnect,
    Error,
    Hello,
    ListPeers,
    ListRegistrations,
    Ok,
    PeerConnected,
    PeerDisconnected,
    PeerOwner,
    Peers,
    Register,
    Registrations,
    Unregister,
    Welcome,
)
from wire.bus.sessions import Session, Sessions
from wire.bus.socket import MAX_FRAME
from wire.secp256k1 import is_point
from wire.start.version import version

if TYPE_CHECKING:
    from zmq import Context, Socket

CONNECTIOND = "connectiond"
MAX_CONNECTS = 64
"""Requests to connect that may be under way."""
VERSION = version()


class Owners(Protocol):
    """Who has which line, and who is told of changes."""

    def owner_of(self, line: DistantLine) -> str | None:
        """The service that has it."""

    def disconnect(self, line: DistantLine, reason: str) -> None:
        """End a connection."""

    def changed(self, wishes: Wishes) -> None:
        """A service wants other things now, or has left CTL."""


class CtlBus:
    """The bus, bound by the constructor. `msg` is the endpoint that services are told for MSG."""

    def __init__(
        self,
        settings: Settings,
        node_id: bytes,
        context: "Context[Socket[bytes]]",
        msg: str,
        registrations: StandaloneRegistrations,
        owners: Owners,
        tasks: Tasks,
        heartbeat: float,
    ) -> None:
        self._msg = msg
        self._settings = settings
        self._node_id = node_id
        self._registrations = registrations
        self._owners = owners
        self._tasks = tasks
        self._peers: StandalonePeers | None = None
        self._connects = 0
        self._bound = BusEndpoint(context, settings.ctl, settings.curve, longest=MAX_FRAME)
        self.endpoint = self._bound.name
        self._sessions = Sessions(
            "ctl",
            LIGHTNINGD,
            self._bound.socket,
            admit=self._admit,
            on_message=self._answer,
            on_gone=self._gone,
            heartbeat=heartbeat,
        )

    def start(self, peers: StandalonePeers) -> None:
        """Whose connections these are."""
        self._peers = peers

    def close(self, reason: str) -> None:
        """Say goodbye."""
        self._sessions.close(reason)
        self._bound.close()

    # sessions

    def _admit(self, hello: Hello) -> Welcome:
        wishes = self._registrations.arrive(hello.service)
        self._owners.changed(wishes)
        return Welcome(
            hello.service,
            ticket=wishes.ticket,
            node_id=self._node_id,
            network=self._settings.network,
            features=self._settings.features,
            version=VERSION,
            msg=self._msg,
            node_ids=sorted(wishes.node_ids),
            channels=list(wishes.channels.values()),
        )

    def _gone(self, session: Session, reason: str) -> None:
        self._owners.changed(self._registrations.leave(session.service))

    def _answer(self, session: Session, message: BusMessage) -> None:
        match message:
            case Register():
                self._owners.changed(self._registrations.register(session.service, message))
                self._sessions.send(session, Ok(id=message.id))
            case Unregister():
                self._owners.changed(self._registrations.unregister(session.service, message))
                self._sessions.send(session, Ok(id=message.id))
            case ListRegistrations():
                entries = [wishes.entry() for wishes in self._registrations]
                self._sessions.send(session, Registrations(entries, id=message.id))
            case ListPeers():
                peers = [self._bus_peer(line) for line in self._all_lines()]
                self._sessions.send(session, Peers(peers, id=message.id))
            case Connect():
                self._connect(session, message)
            case Disconnect():
                self._disconnect(session, message)
            case _:
                raise BusError(f"{message.name()} is for a node: connectiond alone does not do it")

    # peers

    def _all_lines(self) -> list[DistantLine]:
        assert self._peers is not None
        return list(self._peers.lines.values())

    def _bus_peer(self, line: DistantLine) -> BusPeer:
        peer = line.peer
        return BusPeer(
            node_id=peer.node_id,
            conn_id=peer.conn_id,
            owner=self._owners.owner_of(line) or CONNECTIOND,
            address=peer.address,
            incoming=peer.incoming,
            features=peer.features,
        )

    def _connect(self, session: Session, message: Connect) -> None:
        if not is_point(message.node_id):
            raise BusError(f"{message.node_id.hex():.66} is no node id")
        if message.node_id == self._node_id:
            raise BusError("that is our own node id")
        if message.address is not None:
            try:
                parse_address(message.address, self._settings.port)
            except ValueError as error:
                raise BusError(str(error)) from error
        if self._connects >= MAX_CONNECTS:
            raise BusError(f"{MAX_CONNECTS} requests to connect are under way, and no more can be")
        self._connects += 1
        self._tasks.spawn(self._reach(session, message.node_id, message.address, message.id))

    async def _reach(self, session: Session, node_id: bytes, address: str | None, id: Id) -> None:
        assert self._peers is not None
        try:
            await self._peers.reach(node_id, address)
        except ReachFailed as failed:
            self._sessions.send(session, Error(str(failed), id=id))
            return
        finally:
            self._connects -= 1
        line = self._peers.of_node(node_id)
        if line is None:
            self._sessions.send(session, Error("the connection has ended at once", id=id))
        else:
            self._sessions.send(session, Connected(self._bus_peer(line), id=id))

    def _disconnect(self, session: Session, message: Disconnect) -> None:
        assert self._peers is not None
        line = self._peers.of_node(message.node_id or b"")
        if line is None:
            raise BusError("this node is not connected")
        if (owner := self._owners.owner_of(line)) not in (None, session.service):
            raise BusError(f"the connection is {owner}'s")
        self._owners.disconnect(line, message.reason or f"{session.service} wishes it")
        self._sessions.send(session, Ok(id=message.id))

    # events

    def came(self, line: DistantLine) -> None:
        """A connection is there."""
        self._tell_all(PeerConnected(self._bus_peer(line)))

    def moved(self, line: DistantLine) -> None:
        """A service has it, or none any more."""
        peer = line.peer
        self._tell_all(PeerOwner(peer.node_id, peer.conn_id, self._owners.owner_of(line) or CONNECTIOND))

    def went(self, line: DistantLine) -> None:
        """A connection has ended."""
        self._tell_all(PeerDisconnected(line.peer.node_id, line.peer.conn_id, line.reason))

    def _tell_all(self, event: BusMessage) -> None:
        for session in self._sessions:
            if self._registrations.named(session.service).events:
                self._sessions.send(session, event)
