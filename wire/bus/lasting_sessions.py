"""Sessions that outlive the process of their hub: at a restart they go on at another one's.

Each service is told `restart`, behind all that was said to it, and says hello once more, behind all that it has said:
so nothing is on the way between the two. What is said to it until it is welcomed waits, and moves. A service says that
hello again and again, for the one that it has said to the old process is not answered. docs/bus.md, "When connectiond
is restarted".
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import field

from wire.bus.bus_message import BusError, BusMessage
from wire.bus.bus_wire import CREDIT, Hello, Restart, Welcome
from wire.bus.sessions import MAX_QUEUED, Session, Sessions
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

status = Status("bus")


@dataclass(frozen=True, slots=True)
class MovedSession:
    """A session, for the next process. `waits`: bodies for when it is welcomed."""

    service: str
    ticket: bytes = field(repr=False)
    credit: int = CREDIT
    waits: list[bytes] = field(default_factory=list)


class LastingSessions(Sessions):
    """All sessions of one bus. Those that are away are expected for `patience` seconds."""

    on_back: Callable[[Session], None] = staticmethod(lambda session: None)
    """Called when a session goes on, after its `welcome` and what has waited."""
    _awaits: asyncio.TimerHandle | None = None
    _restarting = _has_moved = False

    # the old process

    def say_restart(self) -> None:
        """Have every service say hello again; what is said to it until that waits. One that is not here yet from the
        last restart says so anyway, and hears and says nothing until it is welcomed.
        """
        self._restarting = True
        self._expect_none()
        for session in self:
            if session.is_away:
                session.answered = True
            else:
                self._say_restart(session)

    def _say_restart(self, session: Session) -> None:
        if self.send(session, Restart()):
            session.waits = deque()

    @property
    def all_answered(self) -> bool:
        """All have said hello again: nothing is on the way, from them or to them."""
        return all(session.answered for session in self)

    def end_unanswered(self, reason: str) -> None:
        """End the sessions of those that have not."""
        for session in self:
            if not session.answered:
                self.cut_off(session, reason)

    def move(self) -> list[MovedSession]:
        """For the next process. None begins here from now on, but for `go_on`."""
        self._has_moved = True
        return [
            MovedSession(each.service, each.hello.ticket, each.hello.credit, list(each.waits or ())) for each in self
        ]

    def leave(self) -> None:
        """Let go of all, without a word: they are the next process's."""
        self._stop()
        self._by_name.clear()
        self._by_route.clear()

    def go_on(self) -> None:
        """No process takes our place: welcome those that have said hello again, and expect the others."""
        self._restarting = self._has_moved = False
        for session in self:
            if session.answered and session.route:
                self._welcome_back(session, session.route, Welcome(session.service))
            session.answered = False
        self._expect()

    # the next one

    def take(self, moved: Iterable[MovedSession]) -> None:
        """Expect these services, which another process has told to say hello again."""
        for one in moved:
            hello = Hello(one.service, one.ticket, one.credit)
            self._by_name[one.service] = Session(one.service, b"", hello, waits=deque(one.waits))
        self._expect()

    def _expect(self) -> None:
        self._awaits = self._loop.call_later(self._patience, self._end_away)

    def _expect_none(self) -> None:
        if self._awaits is not None:
            self._awaits.cancel()

    def _end_away(self) -> None:
        for session in self:
            if session.is_away:
                self.cut_off(session, f"it has not said hello within {self._patience:g} seconds after a restart")

    # what comes

    def _begin(self, session: Session | None, route: bytes, hello: Hello, body: bytes) -> None:
        named = self._by_name.get(hello.service)
        if hello.resumes and (session is None or session is named):
            self._resume(session, named, route, hello)
            return
        if named is not None and named.is_away and session is None and not self._restarting:
            self._admit(hello)
            self._end(named, "it begins again")
        super()._begin(session, route, hello, body)

    def _resume(self, session: Session | None, named: Session | None, route: bytes, hello: Hello) -> None:
        """Go on with a service; one that has not heard yet that it is welcome says so again."""
        if named is None or not named.is_away:
            if session is None:
                raise BusError("there is nothing with which you could go on: say hello without `resumes`")
            return
        welcome = self._admit(hello)
        if self._restarting:
            named.answered = named.answered or session is named
        else:
            self._welcome_back(named, route, welcome)

    def _welcome(self, route: bytes, hello: Hello) -> None:
        if self._has_moved:
            raise BusError("connectiond is being restarted: say hello again in a moment")
        super()._welcome(route, hello)
        session = self._by_route.get(route)
        if self._restarting and session is not None:
            self._say_restart(session)

    def _welcome_back(self, session: Session, route: bytes, welcome: Welcome) -> None:
        self._by_route.pop(session.route, None)
        self._by_route[route] = session
        session.route, session.answered = route, False
        waits, session.waits = session.waits or (), None
        status.debug(f"{self._bus}: service {session.service} is here again")
        if self.send(session, welcome) and all(self.forward(session, self._address, body) for body in waits):
            self.on_back(session)

    def _hear(self, session: Session, message: BusMessage) -> None:
        if session.answered:
            raise BusError("you are to be welcomed first")
        super()._hear(session, message)

    # what goes

    def forward(self, session: Session, sender: bytes, body: bytes) -> bool:
        """As Sessions; it waits if the session is away."""
        if session.waits is None or self._by_name.get(session.service) is not session:
            return super().forward(session, sender, body)
        if len(session.waits) >= MAX_QUEUED:
            self.cut_off(session, "too much has happened while it was away")
            return False
        session.waits.append(body)
        return True

    def _ask(self, session: Session) -> None:
        if session.queue or not session.is_away:
            super()._ask(session)

    def _stop(self) -> None:
        super()._stop()
        self._expect_none()
