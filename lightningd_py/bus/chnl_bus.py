"""The CHNL bus: messages between services and their extensions, by name. What they say is their own affair.

What comes as [to, body] goes out as [from, the same bytes]. What cannot be delivered is told to its sender by an
`error`. docs/bus.md.
"""

from collections import Counter
from collections.abc import Callable

from wire.bus.bus_message import BusError, BusMessage
from wire.bus.bus_wire import LIGHTNINGD, Error, Hello, Welcome
from wire.bus.sessions import Session, Sessions
from wire.bus.socket import BusSocket

BUS = "chnl"
ROOM = 64
"""Messages, of up to 1 MiB, that wait for one receiver."""


class ChnlBus:
    """Its hub. Any client may come under a free name; under a service's name only with its ticket."""

    def __init__(self, socket: BusSocket, ticket_of: Callable[[str], bytes | None], heartbeat: float) -> None:
        """`ticket_of`: a bus service's ticket, None for a free name; raises BusError for one that cannot be
        had, since it is a program's or a daemon's.
        """
        self._ticket_of = ticket_of
        self._sessions = Sessions(
            BUS,
            LIGHTNINGD,
            socket,
            admit=self._admit,
            on_message=self._heard,
            on_gone=self._gone,
            heartbeat=heartbeat,
        )
        self._sessions.on_raw = self._forward

    def _admit(self, hello: Hello) -> Welcome:
        ticket = self._ticket_of(hello.service)
        if ticket is not None and hello.ticket != ticket:
            raise BusError(f"{hello.service} is a service's name: say the ticket of its welcome on CTL")
        return Welcome(hello.service)

    def _heard(self, session: Session, message: BusMessage) -> None:
        raise BusError(f"there is nothing that a {message.name()} could do on this bus")

    def _forward(self, session: Session, address: bytes, body: bytes) -> None:
        """Pass a message on. That it cannot be done is no fault of the sender's, and is not counted."""
        session.faults = 0
        receiver = self._sessions.named(address.decode("ascii", "backslashreplace"))
        if receiver is None:
            reason = f"there is no service called {address.decode('ascii', 'backslashreplace'):.40} on this bus"
        elif receiver.queue:
            reason = f"{receiver.service} does not read"
        elif not self._sessions.forward(receiver, session.service.encode(), body):
            reason = f"{receiver.service} is gone"
        else:
            return
        self._sessions.send(session, Error(reason))

    def _gone(self, session: Session, reason: str) -> None:
        """Each sender whose messages to it have not left yet hears that they are lost."""
        for sender, lost in Counter(session.froms).items():
            there = self._sessions.named(sender.decode())
            if there is not None:
                self._sessions.send(there, Error(f"{session.service} is gone: {lost} messages to it are lost"))

    def renamed(self, service: str) -> None:
        """The name is a bus service's from now on, or no longer: the client that had it here has to come again."""
        session = self._sessions.named(service)
        if session is not None:
            self._sessions.cut_off(session, f"{service} has come or gone on CTL: the ticket is another one now")

    def close(self, reason: str = "the node ends", *, again: bool = False) -> None:
        """Say goodbye to all. `again`: another process goes on with their sessions."""
        self._sessions.close(reason, again=again)
