"""A hub among lines, sessions and a master that only remember: no sockets, and a clock that the test moves."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import Any

from connectd.connectiond.hub import Hub
from connectd.connectiond.lines.line import Line
from tests.connectd.connectiond.connectiond_process import registrations_of
from tests.gossipd.gossipd_process import peer_info
from wire.bus.bus_message import BusMessage
from wire.bus.bus_wire import Hello
from wire.bus.sessions import Session
from wire.control.control_wire import PeerInfo
from wire.routing import Routes


class FakeLine:
    """Remembers what is said; the test says when it has gone out."""

    def __init__(self, peer: PeerInfo) -> None:
        self.peer = peer
        self.said: list[bytes] = []
        self.paused = False
        self.ended: tuple[str, list[bytes]] | None = None

    def say(self, message: bytes) -> None:
        self.said.append(message)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def end(self, reason: str, last_words: list[bytes]) -> None:
        assert self.ended is None
        self.ended = (reason, last_words)


class FakePost:
    """Sessions in memory."""

    def __init__(self) -> None:
        self.here: dict[str, Session] = {}
        self.told: dict[str, deque[BusMessage]] = {}
        self.history: list[tuple[Session, BusMessage]] = []
        self.unreachable: set[str] = set()
        self.on_gone: Callable[[Session, str], None]

    def named(self, service: str) -> Session | None:
        return self.here.get(service)

    def send(self, session: Session, message: BusMessage) -> bool:
        if self.here.get(session.service) is not session:
            return False
        if session.service in self.unreachable:
            self.cut_off(session, "it is gone")
            return False
        self.told[session.service].append(message)
        self.history.append((session, message))
        return True

    def cut_off(self, session: Session, reason: str) -> None:
        del self.here[session.service]
        self.on_gone(session, reason)


class FakeMaster:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.log: list[tuple[object, ...]] = []
        self.catches_up: Callable[[], None] = lambda: None

    def returned(self, line: Line, message: bytes | None) -> None:
        self.log.append(("returned", line.peer.conn_id, message))

    def disconnected(self, line: Line, reason: str) -> None:
        self.log.append(("disconnected", line.peer.conn_id, reason))

    def owner(self, line: Line, service: str) -> None:
        self.log.append(("owner", line.peer.conn_id, service))

    def service_admitted(self, service: str) -> None:
        self.log.append(("admitted", service))

    def service_came(self, service: str) -> None:
        self.log.append(("came", service))

    def service_left(self, service: str, reason: str) -> None:
        self.log.append(("left", service))

    def copy_up(self, line: Line, message: bytes) -> None:
        self.log.append(("copy", line.peer.conn_id, message))

    def catch_up(self) -> None:
        self.catches_up()


class FakeBus:
    """All of it put together."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.routes = Routes()
        self.post = FakePost()
        self.master = FakeMaster()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.hub = Hub(self.master, self.routes, self._later)
        self.hub.open(self.post)
        self.post.on_gone = self.hub.gone
        self._conn_id = 0

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.now + delay, next(self._order), action))

    def advance(self, seconds: float) -> None:
        """Time goes by."""
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            self.now, _, action = heapq.heappop(self._timers)
            action()
        self.now = until

    def registers(self, name: str, **wanted: Any) -> bytes:
        """As the master tells it; the ticket."""
        registrations = registrations_of(name, **wanted)
        self.hub.registered(registrations)
        return registrations.ticket

    def service(self, name: str, *, credit: int = 256, take: tuple[int, ...] = ()) -> Session:
        """One that has said hello."""
        hello = Hello(name, self.registers(name, take=take), credit)
        self.hub.admit(hello)
        session = self.post.here[name] = Session(name, name.encode(), hello)
        self.post.told[name] = deque()
        self.hub.came(session)
        return session

    def give(self, service: str, message: bytes | None = None) -> FakeLine:
        """A connection."""
        self._conn_id += 1
        line = FakeLine(peer_info(self._conn_id))
        self.hub.take(line, service, message)
        return line

    def told(self, service: str) -> list[BusMessage]:
        """What a service has heard since the last time."""
        told = list(self.post.told[service])
        self.post.told[service].clear()
        return told

    def heard(self, service: str) -> list[bytes]:
        """The same, only peers' messages and only what they say."""
        return [message.message for message in self.told(service) if hasattr(message, "message")]
