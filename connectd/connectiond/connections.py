"""The connections of bus services: who has a part in which, how a part begins, how a connection ends. No sockets."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from connectd.connectiond.lines.line import Line
from connectd.connectiond.registrations import ServiceRegistrations
from connectd.connectiond.shared import Part, Shared
from wire.bus import bus_wire
from wire.bus.bus_message import BusMessage
from wire.bus.bus_wire import CREDIT
from wire.bus.sessions import Session
from wire.control.shares import Shares
from wire.control.status import Status
from wire.peer_types import ALL_CHANNELS
from wire.peer_wire import WarningMessage

MOST_CONNECTIONS = 1_000_000
"""More than there are file descriptors for."""
MOST_WAITING = 256 << 20
"""Bytes of what services have said and peers have not taken, of all connections. For more, the service with most of
them loses the connection on which nothing has moved for longest."""
MOST_REMEMBERED = 10_000
"""Parts that have ended lately: what a service had on the way then is no mistake of its."""

status = Status("connectiond")


class Post(Protocol):
    """`wire.bus.sessions.Sessions`, as far as it is needed here."""

    def named(self, service: str) -> Session | None:
        """The session of this service."""

    def send(self, session: Session, message: BusMessage) -> bool:
        """False if the session has ended."""

    def cut_off(self, session: Session, reason: str) -> None:
        """End a session."""


class Above(Protocol):
    """What gives connections to the hub: the master's channel, or connectiond itself where there is no master."""

    def returned(self, line: Line, message: bytes | None) -> None:
        """No service has a part in the connection any more. `message`: what the peer said last, if none got it."""

    def disconnected(self, line: Line, reason: str) -> None:
        """The connection has ended."""

    def owner(self, line: Line, service: str) -> None:
        """Another service stands for it now."""

    def service_admitted(self, service: str) -> None:
        """A service may come: its `welcome` goes out after this, so that none hears of it before we have."""

    def service_came(self, service: str) -> None:
        """The service is here."""

    def service_left(self, service: str, reason: str) -> None:
        """The service is gone."""

    def copy_up(self, line: Line, message: bytes) -> None:
        """A copy of what the peer said, for any service that wants it."""

    def catch_up(self) -> None:
        """Deal with what has been said from above and was not read yet: a ticket may be in it."""


class Away(Exception):
    """What was said is for a service that is not here."""


class SharedConnections:
    """All of them, by conn_id. `post` is set before anything comes."""

    post: Post

    def __init__(self, above: Above, registrations: ServiceRegistrations) -> None:
        self.above = above
        self.registrations = registrations
        self._shared: dict[int, Shared] = {}
        self._waiting: Shares[int, Shared] = Shares(MOST_CONNECTIONS, MOST_WAITING)
        self._ended: Shares[tuple[int, str], None] = Shares(MOST_REMEMBERED)

    def __iter__(self) -> Iterator[Shared]:
        return iter(list(self._shared.values()))

    def get(self, conn_id: int) -> Shared | None:
        """The connection, if it is here."""
        return self._shared.get(conn_id)

    def begin(self, line: Line) -> Shared:
        """A connection is here; no service has a part in it yet."""
        shared = self._shared[line.peer.conn_id] = Shared(line)
        return shared

    def said(self, shared: Shared, service: str) -> None:
        """A service has said something that waits now. It may be one too many: then a connection ends."""
        for _, gone in self._waiting.put(shared.conn_id, shared, service, shared.waiting):
            self.end(gone, f"{gone.waiting} bytes wait for the peer, and {self._waiting.most_size} may for all")

    def sent(self, shared: Shared) -> None:
        """Something has gone out."""
        if shared.conn_id in self._waiting:
            self._waiting.put(shared.conn_id, shared, self._waiting.source(shared.conn_id), shared.waiting)

    def lately_ended(self) -> list[tuple[int, str]]:
        """What `has_ended` is true for."""
        return list(self._ended)

    def remember_ended(self, ended: Iterable[tuple[int, str]]) -> None:
        """These, from another process."""
        for conn_id, service in ended:
            self._ended.put((conn_id, service), None, service)

    def clear(self) -> None:
        """No connection is here any more, and no service is told."""
        self._shared.clear()
        self._waiting.clear()

    def service_of(self, shared: Shared, channel_id: bytes) -> str | None:
        """Whose channel it is: registered, or learnt from what was said."""
        return self.registrations.of_channel(shared.node_id, channel_id) or shared.ids.service_of(channel_id)

    def part_of(self, shared: Shared, service: str) -> Part:
        """Its part in the connection, which begins now if there was none. Raises Away."""
        part = shared.parts.get(service) or self.add_part(shared, service)
        if part is None:
            raise Away(f"service {service} is not here")
        return part

    def add_part(self, shared: Shared, service: str) -> Part | None:
        """The service has a part from now on, and is told; None if it is not here, or had one."""
        session = self.post.named(service)
        if session is None or service in shared.parts:
            return None
        part = shared.parts[service] = Part(session)
        self._ended.pop((shared.conn_id, service))
        peer = shared.line.peer
        take = bus_wire.TakePeer(peer.conn_id, peer.node_id, peer.address, peer.incoming, peer.features, CREDIT)
        self.post.send(session, take)
        return part

    def has_ended(self, conn_id: int, service: str) -> bool:
        """Whether it was this service's lately, and ended without its doing."""
        return (conn_id, service) in self._ended

    def give_credit(self, shared: Shared, part: Part, messages: int) -> None:
        """So many of its messages have been dealt with."""
        if part.session.is_away:
            part.receiving.note(messages)
            return
        credit = part.receiving.done(messages)
        if credit:
            self.post.send(part.session, bus_wire.Credit(shared.conn_id, credit))

    # the end

    def end(self, shared: Shared, reason: str, last_words: list[bytes] | None = None) -> bool:
        """Close the connection and tell its services. False: it is gone."""
        shared.line.end(reason, last_words or [])
        self.ended(shared, reason)
        return False

    def end_with_warning(self, shared: Shared, flaw: str) -> bool:
        """The same over something that the peer has done."""
        return self.end(shared, flaw, [WarningMessage(ALL_CHANNELS, flaw.encode()).encode()])

    def ended(self, shared: Shared, reason: str) -> None:
        """A connection has ended: tell its services."""
        self._forget(shared)
        self.above.disconnected(shared.line, reason)  # first: services may ask above what they are told here
        for part in self._part(shared):
            self.post.send(part.session, bus_wire.PeerDisconnected(shared.node_id, shared.conn_id, reason))
        status.debug(f"disconnected: {reason}", shared.node_id)

    def give_back(self, shared: Shared, message: bytes | None) -> None:
        """A connection goes up, with what none has heard; services that still have a part in it are told."""
        self._forget(shared)
        self.above.returned(shared.line, message)
        for part in self._part(shared):
            self.post.send(part.session, bus_wire.PeerGivenBack(shared.conn_id))

    def _forget(self, shared: Shared) -> None:
        del self._shared[shared.conn_id]
        self._waiting.pop(shared.conn_id)

    def _part(self, shared: Shared) -> list[Part]:
        """Those whose part ends now."""
        for service in shared.parts:
            self._ended.put((shared.conn_id, service), None, service)
        return list(shared.parts.values())
