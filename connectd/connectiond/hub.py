"""The hub of the MSG bus: connections come here for services that talk ZMQ, and go when none has a part in them.

    lines/line.py    a connection, wherever its socket is         lines/here.py    those whose socket is in this process
    shared.py        a connection, its services, their credit     connections.py   all of them
    delivery.py      what peers say, to services                  this file        what services say, to peers
    registrations.py what services have registered                channel_ids.py   whose channel is which
    moving.py        all of it to another process, at a restart   moved.py         the state in which it moves

A service that cannot be reached is gone with all its connections: channel_reestablish repairs what was under way.
docs/bus.md, "MSG"; design 2.7, 2.10.
"""

from collections.abc import Callable

from connectd.connectiond.channel_ids import TEACHES
from connectd.connectiond.connections import Above, Post, SharedConnections
from connectd.connectiond.delivery import Delivery
from connectd.connectiond.lines.line import Line
from connectd.connectiond.moved import MovedShared, put_together
from connectd.connectiond.registrations import ServiceRegistrations
from connectd.connectiond.shared import CreditError, Part, Shared
from wire.bus import bus_wire
from wire.bus.bus_message import BusError, BusMessage
from wire.bus.bus_wire import MAX_CREDIT, Hello, Welcome
from wire.bus.sessions import Session
from wire.control.control_wire import ChangeServiceRegistrations
from wire.control.status import Status, sane
from wire.crypto_state import MAX_MESSAGE
from wire.peer_types import ALL_CHANNELS, channel_id_of
from wire.peer_wire import ErrorMessage
from wire.routing import Routes

status = Status("connectiond")


class Hub:
    """All connections of bus services. Implements `line.LineEvents`; `open` comes before anything else."""

    def __init__(
        self,
        above: Above,
        routes: Routes,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """`later`: as the loop's `call_later`."""
        self.registrations = ServiceRegistrations()
        self._above = above
        self._later = later
        self._peers = SharedConnections(above, self.registrations)
        self._delivery = Delivery(self._peers, routes, later)
        self.heard = self._delivery.heard

    def open(self, post: Post) -> None:
        """The bus is there."""
        self._peers.post = post

    def close(self) -> None:
        """The end of everything: the holder of the lines closes them."""
        self._peers.clear()

    # a restart

    def leave(self) -> tuple[list[Shared], list[tuple[int, str]]]:
        """All connections, and those that have ended lately: none is here any more."""
        for shared in self._peers:
            for part in shared.parts.values():
                if self._peers.post.named(part.session.service) is not part.session:
                    self._peers.end(shared, f"service {part.session.service} has left")
                    break
        left = list(self._peers), self._peers.lately_ended()
        self._peers.clear()
        return left

    def go_on(self, line: Line, moved: MovedShared, said: list[bytes]) -> None:
        """A connection as another process has left it, with what waits for its peer."""
        shared = self._peers.begin(line)
        try:
            held = put_together(shared, moved, self._peers.post.named)
        except LookupError as error:
            self._peers.end(shared, str(error.args[0]))
            return
        for whose, message in zip(moved.said, said, strict=True):
            shared.say(message, shared.parts.get(whose))
            self._peers.said(shared, whose)
        for part, message in held:
            self._delivery.hold(shared, part, message)
        if shared.leaving:
            line.pause()
            self._go_when_sent(shared)

    def remember_ended(self, ended: list[tuple[int, str]]) -> None:
        """What `leave` has given."""
        self._peers.remember_ended(ended)

    # from above

    def take(self, line: Line, service: str, message: bytes | None) -> None:
        """The connection is this service's, and each one's that has registered its node; the message is the reason."""
        shared = self._peers.begin(line)
        for name in dict.fromkeys([service, *self.registrations.concerned(line.peer.node_id)]):
            self._peers.add_part(shared, name)
        part = shared.parts.get(service)
        if shared.owner is None:
            status.debug(f"service {service} is not here", line.peer.node_id)
            self._peers.give_back(shared, message)
            return
        if part is None:
            self._above.owner(line, shared.owner)
        if message is not None:
            if part is not None:
                self._delivery.deliver(shared, part, message)
            else:
                self._delivery.heard(line, message)

    def registered(self, told: ChangeServiceRegistrations) -> None:
        """What is different; without its ticket a service's session is over. It has a part in nodes that are new."""
        new = self.registrations.change(told)
        session = self._peers.post.named(told.service)
        if session is None:
            return
        if not self.registrations.ticket_is(told.service, session.hello.ticket):
            self._peers.post.cut_off(session, "its session on CTL has ended")
            return
        for shared in self._peers:
            if shared.node_id in new:
                self._join(shared, told.service)

    def disconnect(self, conn_id: int, last_words: list[bytes], reason: str) -> None:
        """End a connection, if it is here."""
        shared = self._peers.get(conn_id)
        if shared is not None:
            self._peers.end(shared, reason, last_words)

    def give_back(self, conn_id: int) -> None:
        """Return a connection now, if it is here. Its services hear that it is not theirs any more."""
        shared = self._peers.get(conn_id)
        if shared is not None:
            self._peers.give_back(shared, shared.unheard)

    def give_all_back(self) -> None:
        """The same with every connection."""
        for shared in self._peers:
            self._peers.give_back(shared, shared.unheard)

    def say(self, conn_id: int, message: bytes) -> None:
        """Send a message that is no service's, on a connection that is here."""
        shared = self._peers.get(conn_id)
        if shared is not None:
            shared.say(message)

    # sessions

    def admit(self, hello: Hello) -> Welcome:
        """Whether a service may begin its session. Raises BusError."""
        if not self.registrations.ticket_is(hello.service, hello.ticket):
            self._above.catch_up()
            if not self.registrations.ticket_is(hello.service, hello.ticket):
                raise BusError("this ticket is not valid: say hello on CTL first")
        if hello.credit > MAX_CREDIT:
            raise BusError(f"credit for {hello.credit} messages is too much, {MAX_CREDIT} may be")
        self._above.service_admitted(hello.service)
        return Welcome(hello.service)

    def came(self, session: Session) -> None:
        """A service is here: it has a part in the connections of its nodes at once."""
        self._above.service_came(session.service)
        for shared in self._peers:
            if session.service in self.registrations.concerned(shared.node_id):
                self._join(shared, session.service)

    def _join(self, shared: Shared, service: str) -> None:
        """A service gets a part in a connection that others have, or have just left."""
        if self._peers.add_part(shared, service) is not None and shared.leaving:
            shared.leaving = False
            self._above.owner(shared.line, service)
            self._delivery.deliver_held(shared)

    def back(self, session: Session) -> None:
        """A service goes on after a restart: with the credit, and the words of peers, that have waited."""
        for shared in self._peers:
            part = shared.parts.get(session.service)
            if part is not None and part.session is session:
                self._peers.give_credit(shared, part, 0)
                if shared.held and not shared.leaving:
                    self._delivery.deliver_held(shared)

    def gone(self, session: Session, reason: str) -> None:
        """A service has left: its connections end. Not at once, for we may be in the midst of one of them."""
        self._above.service_left(session.service, reason)
        self._later(0.0, lambda: self._end_all_of(session, reason))

    def _end_all_of(self, session: Session, reason: str) -> None:
        for shared in self._peers:
            part = shared.parts.get(session.service)
            if part is not None and part.session is session:
                self._peers.end(shared, f"service {session.service} has left: {reason}")

    # from services

    def received(self, session: Session, message: BusMessage) -> None:
        """What a service says. Raises BusError."""
        match message:
            case bus_wire.Message(conn_id=conn_id):
                if (found := self._find(session, conn_id)) is not None:
                    self._hear_service(*found, message)
            case bus_wire.Credit(conn_id=conn_id, messages=messages):
                if (found := self._find(session, conn_id)) is not None:
                    self._hear_credit(*found, messages)
            case bus_wire.GiveBack(conn_id=conn_id, heard=heard):
                if (found := self._find(session, conn_id)) is not None and _has_heard(found[1], heard):
                    self._part(*found)
            case bus_wire.Disconnect():
                self._disconnect(session, message)

    def _find(self, session: Session, conn_id: int) -> tuple[Shared, Part] | None:
        """The connection and the service's part; None if it has just ended, which the service has been told."""
        shared = self._peers.get(conn_id)
        part = shared.parts.get(session.service) if shared is not None else None
        if shared is not None and part is not None and part.session is session:
            return shared, part
        if not self._peers.has_ended(conn_id, session.service):
            raise BusError(f"connection {conn_id} is not {session.service}'s")
        return None

    def _hear_service(self, shared: Shared, part: Part, message: bus_wire.Message) -> None:
        session, said = part.session, message.message
        try:
            part.receiving.take(message.seq)
            if not 2 <= len(said) <= MAX_MESSAGE:
                raise CreditError(f"a message of {len(said)} bytes cannot be sent, 2 to {MAX_MESSAGE} may be")
        except CreditError as error:
            self._peers.post.send(session, bus_wire.Error(str(error), conn_id=shared.conn_id))
            self._peers.end(shared, f"service {session.service} has made a mistake: {error}")
            return
        try:
            self._check_channel(shared, session.service, said)
        except BusError:
            self._peers.give_credit(shared, part, 1)
            raise
        shared.say(said, part)
        self._peers.said(shared, session.service)

    def _check_channel(self, shared: Shared, service: str, message: bytes) -> None:
        """Refuse words about another's channel, or for all channels if some are another's. Raises BusError."""
        channel_id, number = channel_id_of(message), message[0] << 8 | message[1]
        if channel_id is None:
            return
        if channel_id == ALL_CHANNELS:
            if number == ErrorMessage.number and len(shared.parts) > 1:
                raise BusError("an error for all channels would fail those of other services")
            return
        owner = self._peers.service_of(shared, channel_id)
        if owner not in (None, service):
            raise BusError(f"channel {channel_id.hex()} is {owner}'s")
        if number in TEACHES:
            shared.ids.learn(service, number, channel_id, message)
        if owner is None:
            shared.ids.spoken_of(service, channel_id)

    def _hear_credit(self, shared: Shared, part: Part, messages: int) -> None:
        try:
            part.sending.give(messages)
        except CreditError as error:
            raise BusError(str(error)) from error
        if shared.held:
            self._delivery.deliver_held(shared)

    def _part(self, shared: Shared, part: Part) -> None:
        """The service has nothing more to do with the connection."""
        service, owner = part.session.service, shared.owner
        del shared.parts[service]
        shared.ids.forget(service)
        if shared.owner not in (None, owner):
            self._above.owner(shared.line, shared.owner)
        self._peers.post.send(part.session, bus_wire.PeerGivenBack(shared.conn_id))
        if shared.owner is None:
            shared.leaving = True
            shared.line.pause()
            self._go_when_sent(shared)
        elif shared.held:
            self._delivery.deliver_held(shared)

    def _go_when_sent(self, shared: Shared) -> None:
        """What services have said goes out before the connection goes."""
        if shared.leaving and shared.all_sent:
            self._peers.give_back(shared, shared.unheard)

    def _disconnect(self, session: Session, message: bus_wire.Disconnect) -> None:
        if message.conn_id is None:
            raise BusError("conn_id is missing")
        if (found := self._find(session, message.conn_id)) is not None:
            shared, _ = found
            others = [name for name in shared.parts if name != session.service]
            if others:
                raise BusError(f"connection {message.conn_id} is {others[0]}'s, too: give_back leaves it")
            why = f": {sane(message.reason.encode())}" if message.reason else ""
            self._peers.end(shared, f"service {session.service} has ended it{why}")
        self._peers.post.send(session, bus_wire.Ok(message.id))

    # from lines

    def sent(self, line: Line, count: int) -> None:
        """So many messages have gone out: their services may send more."""
        shared = self._peers.get(line.peer.conn_id)
        if shared is None or shared.line is not line:
            return
        parts = shared.sent(count)
        self._peers.sent(shared)
        for part, messages in parts:
            if shared.parts.get(part.session.service) is part:
                self._peers.give_credit(shared, part, messages)
        self._go_when_sent(shared)

    def ended(self, line: Line, reason: str) -> None:
        """The connection has ended by itself."""
        shared = self._peers.get(line.peer.conn_id)
        assert shared is not None
        self._peers.ended(shared, reason)


def _has_heard(part: Part, heard: int | None) -> bool:
    """Whether nothing is on its way to a service that has heard so much. Raises BusError."""
    if heard is not None and heard > part.sending.seq:
        raise BusError(f"message {heard} has not been sent, {part.sending.seq} was the last")
    return heard in (None, part.sending.seq)
