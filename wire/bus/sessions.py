"""The hub of an ESB bus: sessions of services over a ROUTER, each begun by a `hello`, addressed by the service's id.

What comes is two frames, [address, body], behind ZMQ's route. A session is over when the service says goodbye, cannot
be reached any more, does not read, or talks nonsense; the user of the hub hears of that once, by `on_gone`.
docs/bus.md, "Sessions".
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import field

from wire.bus.bus_message import BusError, BusMessage, asked_in
from wire.bus.bus_wire import Error, Goodbye, Heartbeat, Hello, Welcome
from wire.bus.service_name import name_flaw
from wire.bus.socket import BusSocket, NoRoom, Unreachable
from wire.control.status import Status, sane
from wire.start.late_dataclass import dataclass

MAX_SESSIONS = 1_000
MAX_QUEUED = 1_000
"""Messages that wait here for a service that does not read, besides those that ZMQ keeps for it."""
MAX_QUEUED_BYTES = 4 << 20
"""Bytes of them."""
MAX_FAULTS = 10
"""Wrong messages in a row after which a session ends."""
MAX_RETURNING = 100
"""Services that say hello while a session of their name is still here, of which we find out whether it lives."""
LOOKS = 5
"""How often we look, RETRY apart: the end of its old connection may come to us after its new one's first words."""
RETRY = 0.05
"""Seconds between attempts to send what waits: ZMQ does not tell when a single route has room again."""
LONGEST_REASON = 100
"""Of what a service gives as its reason, so much is repeated."""

status = Status("bus")


@dataclass(slots=True)
class _Returning:
    """A `hello` of a name that is here: of another, or of the same service before we have noticed that it had left."""

    hello: Hello
    body: bytes
    looks: int = LOOKS


@dataclass(slots=True, eq=False)
class Session:
    """A service on this bus. `route` is ZMQ's, `hello` what it began with."""

    service: str
    route: bytes
    hello: Hello
    faults: int = 0
    heard: int = 0
    """Bytes of the message that is being dealt with."""
    queue: deque[bytes] = field(default_factory=deque)
    """Bodies that found no room, each to be sent before anything newer."""
    queued: int = 0
    """Bytes of the queue."""
    taken_at: float = 0.0
    """Loop time at which the first of the queue began to wait."""
    froms: deque[bytes] = field(default_factory=deque)
    """Whose they are."""
    waits: deque[bytes] | None = None
    """Bodies for when it has said hello again, between `restart` and that; None otherwise."""
    answered: bool = False
    """The hub that goes has heard hello again: nothing of the service is on the way."""

    @property
    def is_away(self) -> bool:
        """Between two processes."""
        return self.waits is not None


class Sessions:
    """All sessions of one bus."""

    def __init__(
        self,
        bus: str,
        address: bytes,
        socket: BusSocket,
        *,
        admit: Callable[[Hello], Welcome],
        on_message: Callable[[Session, BusMessage], None],
        on_gone: Callable[[Session, str], None],
        heartbeat: float,
        patience: float = math.inf,
    ) -> None:
        """`address` is the hub's own. `admit` and `on_message` raise BusError for what is answered by an `error`.
        `heartbeat`: seconds. `patience`: seconds in which a service must take some of what waits for it.
        """
        self.on_raw: Callable[[Session, bytes, bytes], None] | None = None
        """Gets (session, address, body) of what is for another service; raises BusError if there is no way."""
        self.on_welcome: Callable[[Session], None] = lambda session: None
        """Called when a session has begun, after its `welcome`."""
        self._bus = bus
        self._address = address
        self._socket = socket
        self._admit = admit
        self._on_message = on_message
        self._on_gone = on_gone
        self._heartbeat = heartbeat
        self._patience = patience
        self._by_name: dict[str, Session] = {}
        self._by_route: dict[bytes, Session] = {}
        self._returning: dict[bytes, _Returning] = {}
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(heartbeat, self._beat)
        self._retry: asyncio.TimerHandle | None = None
        self._probe: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        socket.on_message = self._received
        socket.on_disconnect = self._somebody_left

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_name.values()))

    def named(self, service: str) -> Session | None:
        """The session of this service."""
        return self._by_name.get(service)

    # what comes

    def _received(self, frames: list[bytes]) -> None:
        """One message, as the ROUTER gives it."""
        route, *rest = frames
        session = self._by_route.get(route)
        body = rest[-1] if rest else b""
        try:
            if len(rest) != 2:
                raise BusError(f"a message is two frames, the address and the body, not {len(rest)}")
            self._deal_with(session, route, rest[0], body)
        except BusError as error:
            self._refuse(session, route, body, str(error))

    def _deal_with(self, session: Session | None, route: bytes, address: bytes, body: bytes) -> None:
        if address != self._address:
            if session is None or self.on_raw is None:
                raise BusError(_nobody(address) if session is not None else "say hello first")
            self.on_raw(session, address, body)
            return
        message = BusMessage.decode(body, self._bus, "service")
        if isinstance(message, Hello):
            self._begin(session, route, message, body)
        elif session is None:
            raise BusError("say hello first")
        elif isinstance(message, Goodbye):
            self._end(session, sane(message.reason.encode())[:LONGEST_REASON] or "it said goodbye")
        else:
            session.heard = len(body)
            self._hear(session, message)
            session.faults = 0

    def _hear(self, session: Session, message: BusMessage) -> None:
        self._on_message(session, message)

    def _begin(self, session: Session | None, route: bytes, hello: Hello, body: bytes) -> None:
        if session is not None and hello.resumes and hello.service == session.service:
            return  # it says so until it hears that it is welcome
        if session is not None:
            raise BusError(f"this session is {session.service}'s already")
        if flaw := name_flaw(hello.service):
            raise BusError(f"'{hello.service:.40}' {flaw}")
        if hello.service in self._by_name:
            self._wait_for_the_end(route, hello, body)
        else:
            self._welcome(route, hello)

    def _welcome(self, route: bytes, hello: Hello) -> None:
        if len(self._by_name) >= MAX_SESSIONS:
            raise BusError(f"there are {MAX_SESSIONS} services here, and no more can be")
        welcome = self._admit(hello)
        welcome.id = hello.id
        session = self._by_name[hello.service] = self._by_route[route] = Session(hello.service, route, hello)
        status.debug(f"{self._bus}: service {hello.service} is here")
        if self.send(session, welcome):
            self.on_welcome(session)

    def _wait_for_the_end(self, route: bytes, hello: Hello, body: bytes) -> None:
        if route in self._returning or len(self._returning) >= MAX_RETURNING:
            raise BusError(_is_here(hello))
        self._returning[route] = _Returning(hello, body)
        self._look_later()

    def _look_later(self) -> None:
        if self._look is None:
            self._look = self._loop.call_later(RETRY, self._look_at_returning)

    def _look_at_returning(self) -> None:
        """A session that cannot be reached any more makes room for one that comes under its name."""
        self._look = None
        for name in {returning.hello.service for returning in self._returning.values()}:
            if (session := self._by_name.get(name)) is not None:
                self._ask(session)
        for route, returning in list(self._returning.items()):
            returning.looks -= 1
            if returning.hello.service in self._by_name and returning.looks:
                continue
            del self._returning[route]
            try:
                if returning.hello.service in self._by_name:
                    raise BusError(_is_here(returning.hello))
                self._welcome(route, returning.hello)
            except BusError as error:
                self._refuse(None, route, returning.body, str(error))
        if self._returning:
            self._look_later()

    def _refuse(self, session: Session | None, route: bytes, body: bytes, reason: str) -> None:
        asked, conn_id = asked_in(body)
        answer = Error(reason, id=asked, conn_id=conn_id)
        if session is None:
            try:
                self._socket.send([route, self._address, answer.encode()])
            except (Unreachable, NoRoom):
                status.debug(f"{self._bus}: a stranger was refused and does not hear it: {reason}")
            return
        session.faults += 1
        if self.send(session, answer) and session.faults >= MAX_FAULTS:
            self.cut_off(session, f"{MAX_FAULTS} messages in a row were wrong")

    # what goes

    def send(self, session: Session, message: BusMessage) -> bool:
        """Say it, now or when there is room. False if the session has ended (then `on_gone` was called)."""
        return self.forward(session, self._address, message.encode())

    def forward(self, session: Session, sender: bytes, body: bytes) -> bool:
        """The same for the body of another session."""
        if self._by_name.get(session.service) is not session:
            return False
        if not session.queue:
            try:
                self._socket.send([session.route, sender, body])
            except Unreachable:
                self._end(session, "it is gone")
                return False
            except NoRoom:
                pass
            else:
                return True
        if len(session.queue) >= MAX_QUEUED or session.queued + len(body) > MAX_QUEUED_BYTES:
            self.cut_off(session, "it does not read")
            return False
        if not session.queue:
            session.taken_at = self._loop.time()
        session.queue.append(body)
        session.queued += len(body)
        session.froms.append(sender)
        self._retry_later()
        return True

    def _retry_later(self) -> None:
        if self._retry is None:
            self._retry = self._loop.call_later(RETRY, self._send_queued)

    def _send_queued(self) -> None:
        self._retry = None
        for session in self:
            self._send_queue_of(session)
            if not session.queue:
                continue
            if self._loop.time() - session.taken_at >= self._patience:
                self.cut_off(session, f"it has taken nothing for {self._patience:g} seconds")
            else:
                self._retry_later()

    def _send_queue_of(self, session: Session) -> None:
        try:
            while session.queue:
                self._socket.send([session.route, session.froms[0], session.queue[0]])
                session.queued -= len(session.queue.popleft())
                session.froms.popleft()
                session.taken_at = self._loop.time()
        except NoRoom:
            return
        except Unreachable:
            self._end(session, "it is gone")

    # the end

    def _somebody_left(self) -> None:
        """ZMQ may need a moment until it refuses to send to it."""
        self._ask_all()
        if self._probe is None:
            self._probe = self._loop.call_later(RETRY, self._ask_again)

    def _ask_again(self) -> None:
        self._probe = None
        self._ask_all()

    def _beat(self) -> None:
        self._timer = self._loop.call_later(self._heartbeat, self._beat)
        self._ask_all()

    def _ask_all(self) -> None:
        for session in self:
            self._ask(session)

    def _ask(self, session: Session) -> None:
        """A session that is gone cannot be told that we live. One that does not read is not told more than once."""
        if session.queue:
            self._send_queue_of(session)
        else:
            self.send(session, Heartbeat())

    def cut_off(self, session: Session, reason: str, *, again: bool = False) -> None:
        """End a session, and tell it why if it listens. `again`: another process goes on with it."""
        if self._by_name.get(session.service) is not session:
            return
        try:
            self._socket.send([session.route, self._address, Goodbye(reason, again).encode()])
        except (Unreachable, NoRoom):
            status.debug(f"{self._bus}: {session.service} does not hear why it is cut off")
        self._end(session, reason)

    def _end(self, session: Session, reason: str) -> None:
        """What is still in its queue has not left; `on_gone` may look at that."""
        del self._by_name[session.service]
        self._by_route.pop(session.route, None)
        status.info(f"{self._bus}: service {session.service} has left: {reason}")
        self._on_gone(session, reason)
        session.queue.clear()
        session.queued = 0
        session.froms.clear()

    def close(self, reason: str, *, again: bool = False) -> None:
        """Say goodbye to all."""
        self._stop()
        for session in self:
            self.cut_off(session, reason, again=again)

    def _stop(self) -> None:
        for timer in (self._timer, self._retry, self._probe, self._look):
            if timer is not None:
                timer.cancel()


def _is_here(hello: Hello) -> str:
    return f"service {hello.service} is here already"


def _nobody(address: bytes) -> str:
    return f"there is no service called {address.decode('ascii', 'backslashreplace'):.40} on this bus"
