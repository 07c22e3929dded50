"""What a peer says, to the service whose it is. Knows no sockets.

Whose a message is: its channel's service, registered or learnt; for an opening the one that takes its type; else who
has registered the node, or takes the type, or has the connection alone. It is delivered once and in order to that
service. If it cannot be, the connection ends, and every service with a part in it is told why. Design 2.7, 2.10.
"""

from collections.abc import Callable

from connectd.connectiond.channel_ids import TEACHES
from connectd.connectiond.connections import Away, SharedConnections
from connectd.connectiond.lines.line import Line
from connectd.connectiond.shared import Part, Shared
from wire.bus.bus_wire import Message
from wire.control.status import Status
from wire.net.duties import Flaw, deed_of, log_trouble, type_and_channel
from wire.peer_types import ALL_CHANNELS, channel_id_of, is_channel_message, message_name
from wire.peer_wire import ErrorMessage
from wire.routing import OPENINGS, TROUBLE, Action, Deed, Routes, answer_without_service, flaw_without_service

RETRY = 0.05
"""Seconds between looks at services that have no room: ZMQ does not tell of room."""

_TAKE = Deed.TAKE

status = Status("connectiond")


class Delivery:
    """From lines to sessions. A line is paused while a service has no room for what the peer has just said."""

    def __init__(
        self,
        peers: SharedConnections,
        routes: Routes,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """`later`: as the loop's `call_later`."""
        self._peers = peers
        self._routes = routes
        self._later = later
        self._holding: dict[int, Shared] = {}
        self._looks = False

    def heard(self, line: Line, message: bytes) -> bool:
        """The peer has said this. False if the connection is gone."""
        shared = self._peers.get(line.peer.conn_id)
        assert shared is not None
        try:
            deed = deed_of(message, self._routes)
            if deed is _TAKE:
                return self._hear_taken(shared, message[0] << 8 | message[1], message)
            if deed is Deed.TROUBLE:
                return self._hear_trouble(shared, message)
            if deed is Deed.COPY:
                self._peers.above.copy_up(line, message)
        except Flaw as flaw:
            return self._peers.end(shared, str(flaw), flaw.last_words)
        except Away as away:  # no word to the peer: it is to try again
            return self._peers.end(shared, str(away))
        return True

    def _hear_trouble(self, shared: Shared, message: bytes) -> bool:
        """An error or a warning: to its channel's service, or to all for all channels (B1-31); a copy goes up."""
        number, channel_id = type_and_channel(message)
        assert channel_id is not None
        log_trouble(status, message, shared.line.peer)
        self._peers.above.copy_up(shared.line, message)
        parts = self._concerned(shared, number, channel_id)
        if not parts and self._routes.action(number) is Action.TAKE:
            return self._hear_taken(shared, number, message)
        return all(self.deliver(shared, part, message) for part in parts)

    def _concerned(self, shared: Shared, number: int, channel_id: bytes) -> list[Part]:
        """An error about all channels is for those, too, who have something registered and gave their part back."""
        if channel_id == ALL_CHANNELS:
            if number == ErrorMessage.number:
                for name in self._peers.registrations.concerned(shared.node_id):
                    self._peers.add_part(shared, name)
            return list(shared.parts.values())
        everything = self._peers.registrations.everything.get(shared.node_id)
        service = self._peers.service_of(shared, channel_id) or everything
        return [] if service is None else [self._peers.part_of(shared, service)]

    def _hear_taken(self, shared: Shared, number: int, message: bytes) -> bool:
        channel_id = channel_id_of(message)
        part = self._destination(shared, number, channel_id)
        if part is not None:
            return self._deliver(shared, part, message, number, channel_id)
        flaw = flaw_without_service(number, channel_id)
        if flaw is not None:
            return self._peers.end_with_warning(shared, flaw)
        status.debug(f"no service here takes its {message_name(number)}", shared.node_id)
        for answer in answer_without_service(number, channel_id):
            shared.say(answer)
        return True

    def _destination(self, shared: Shared, number: int, channel_id: bytes | None) -> Part | None:
        """Who gets the message; None if no service does. Raises Away if the one who should is not here."""
        peers = self._peers
        if channel_id is not None and (service := peers.service_of(shared, channel_id)) is not None:
            return peers.part_of(shared, service)
        service = next(filter(None, self._by_registration(shared.node_id, number)), None)
        if service is not None:
            return peers.part_of(shared, service)
        alone = len(shared.parts) == 1 and channel_id is not None and number not in OPENINGS
        return next(iter(shared.parts.values())) if alone else None

    def _by_registration(self, node_id: bytes, number: int) -> list[str | None]:
        """Who has registered for the type, the node, or everything, as far as that is so: the first one gets it."""
        registrations = self._peers.registrations
        taker, of_node, everything = (
            registrations.of_type(number),
            registrations.of_node(node_id),
            registrations.everything.get(node_id),
        )
        if taker is not None and self._peers.post.named(taker) is None:
            taker = None
        node_first = is_channel_message(number) and number not in OPENINGS
        return [of_node, taker, everything] if node_first else [taker, of_node, everything]

    def deliver(self, shared: Shared, part: Part, message: bytes) -> bool:
        """To this service, or held for it. False if the connection has ended over it."""
        return self._deliver(shared, part, message, *type_and_channel(message))

    def _deliver(self, shared: Shared, part: Part, message: bytes, number: int, channel_id: bytes | None) -> bool:
        if shared.held or not part.has_room:
            self.hold(shared, part, message)
            return True
        return self._send(shared, part, message, number, channel_id)

    def _send(self, shared: Shared, part: Part, message: bytes, number: int, channel_id: bytes | None) -> bool:
        if number in TEACHES:
            shared.ids.learn(part.session.service, number, channel_id, message)
        seq = part.sending.next()
        sending = Message(shared.conn_id, seq, message, shared.node_id, number, channel_id)
        if self._peers.post.send(part.session, sending):
            return True
        return self._peers.end(shared, f"service {part.session.service} has left")

    # services without room

    def hold(self, shared: Shared, part: Part, message: bytes) -> None:
        """The service has no room for it now."""
        if not shared.held:
            shared.line.pause()
            self._holding[shared.conn_id] = shared
            self._look_later()
        shared.held.append((part, message))

    def _look_later(self) -> None:
        if not self._looks:
            self._looks = True
            self._later(RETRY, self._look)

    def _look(self) -> None:
        """A service that has got room gets what is held for it. It may take its time with a connection as long as its
        session lives: one that does not read MSG is the bus's matter (`wire/bus/sessions.py`).
        """
        self._looks = False
        for conn_id, shared in list(self._holding.items()):
            if self._peers.get(conn_id) is not shared or not shared.held:
                del self._holding[conn_id]
            elif not shared.leaving and not self._is_stuck(shared):
                self.deliver_held(shared)
        if self._holding:
            self._look_later()

    def _is_stuck(self, shared: Shared) -> bool:
        part, _ = shared.held[0]
        return shared.parts.get(part.session.service) is part and not part.has_room

    def deliver_held(self, shared: Shared) -> None:
        """What can be delivered of what is held; then the peer is heard again."""
        while shared.held:
            if self._is_stuck(shared):
                return
            if not self._deliver_again(shared, *shared.held.popleft()):
                return
        shared.line.resume()

    def _deliver_again(self, shared: Shared, part: Part, message: bytes) -> bool:
        if shared.parts.get(part.session.service) is part:
            return self._send(shared, part, message, *type_and_channel(message))
        if message[0] << 8 | message[1] in TROUBLE:  # a copy went up, and the others get theirs
            return True
        return self.heard(shared.line, message)  # it has given its part back: the message may be another's
