"""What one connectiond leaves to the next: sessions, what has ended lately, and of each connection its services, their
numbers and credit, each way, and what waits. `wire/net/states.py` says how versions read each other's.
"""

from collections.abc import Callable
from dataclasses import field

from connectd.connectiond.shared import Part, Receiving, Sending, Shared
from wire.bus.bus_wire import CREDIT, Hello
from wire.bus.lasting_sessions import MovedSession
from wire.bus.sessions import Session
from wire.control.control_wire import PeerInfo
from wire.crypto_state import PeerState
from wire.start.late_dataclass import dataclass

VERSION = 1
"""Of `MovedLine` and `MovedBus`. A field more needs no new one: it has a default."""


@dataclass(frozen=True, slots=True)
class MovedPart:
    """A service's part. `seq`, `credit`: of what it is told; the others as `Receiving.leave` has them."""

    service: str
    seq: int = 0
    credit: int = CREDIT
    window: int = CREDIT
    heard_credit: int = CREDIT
    heard_seq: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class MovedShared:
    """A connection of services, but for its socket."""

    parts: list[MovedPart] = field(default_factory=list)
    held: list[tuple[str, bool, bytes]] = field(default_factory=list)
    """What the peer has said, and for which service it was, which has a part still, or not."""
    said: list[str] = field(default_factory=list)
    """Which service has said each message that waits for the peer; empty for our own."""
    leaving: bool = False
    opening: list[tuple[bytes, str, bytes]] = field(default_factory=list)
    channels: list[tuple[bytes, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MovedLine:
    """A connection. `words`: what waits for the peer, a message for each of `shared.said`."""

    peer: PeerInfo
    state: PeerState
    shared: MovedShared = field(default_factory=MovedShared)
    words: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MovedBus:
    """What is of no single connection."""

    sessions: list[MovedSession] = field(default_factory=list)
    ended: list[tuple[int, str]] = field(default_factory=list)


def moved(shared: Shared) -> MovedShared:
    """All of it."""

    def has_part(part: Part) -> bool:
        return shared.parts.get(part.session.service) is part

    return MovedShared(
        [
            MovedPart(service, part.sending.seq, part.sending.credit, *part.receiving.leave())
            for service, part in shared.parts.items()
        ],
        [(part.session.service, has_part(part), message) for part, message in shared.held],
        ["" if part is None or not has_part(part) else part.session.service for part in shared.whose()],
        shared.leaving,
        *shared.ids.leave(),
    )


def put_together(
    shared: Shared, moved: MovedShared, session_of: Callable[[str], Session | None]
) -> list[tuple[Part, bytes]]:
    """Put it into a connection that is fresh here; but for its words: what is to be held is returned.

    Raises LookupError, a sentence, if a service of it has no session.
    """
    for one in moved.parts:
        session = session_of(one.service)
        if session is None:
            raise LookupError(f"service {one.service} has left")
        part = shared.parts[one.service] = Part(session)
        part.sending = Sending(one.credit, one.seq)
        part.receiving = Receiving(one.window, one.heard_credit, one.heard_seq, one.done)
    shared.leaving = moved.leaving
    shared.ids.go_on(moved.opening, moved.channels)
    return [
        (shared.parts[service] if has_part else _ended_part(service), message)
        for service, has_part, message in moved.held
    ]


def _ended_part(service: str) -> Part:
    """Of a service that has given it back."""
    return Part(Session(service, b"", Hello(service)))
