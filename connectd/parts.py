"""One connection, and the services with a part in it. Knows no sockets."""

from collections import deque

from connectd.channel_ids import ChannelIds
from connectd.credit import Receiving, Sending
from connectd.line import Line
from wire.bus_sessions import Session
from wire.bus_wire import CREDIT

TROUBLE = (1, 17)
"""`warning` and `error`: what is for all channels goes to everybody."""


class Part:
    """A service's part in a connection: the messages each way are numbered from its beginning on."""

    __slots__ = ("receiving", "sending", "session")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.sending = Sending(session.hello.credit)
        self.receiving = Receiving(CREDIT)

    @property
    def has_room(self) -> bool:
        """Whether the service takes one more message now."""
        return self.sending.credit > 0 and not self.session.queue


class Shared:
    """A connection that services own together. The first one of `parts` stands for it."""

    __slots__ = ("_said", "held", "held_since", "ids", "leaving", "line", "parts")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.parts: dict[str, Part] = {}
        self.ids = ChannelIds()
        self.held: deque[tuple[Part, bytes]] = deque()
        """What the peer has said and a service has no room for; nothing more is heard meanwhile. One message, or one
        `error` for several services.
        """
        self.held_since = 0.0
        self.leaving = False
        """Nobody has a part any more; it goes when all that was said has gone out."""
        self._said: deque[tuple[Part | None, int]] = deque()

    @property
    def node_id(self) -> bytes:
        """The peer's."""
        return self.line.peer.node_id

    @property
    def conn_id(self) -> int:
        """The connection's."""
        return self.line.peer.conn_id

    @property
    def owner(self) -> str | None:
        """The service that stands for it."""
        return next(iter(self.parts), None)

    @property
    def all_sent(self) -> bool:
        """Nothing that was said to the peer waits."""
        return not self._said

    @property
    def unheard(self) -> bytes | None:
        """What the peer has said and nobody has got. Of trouble a copy went up, so it counts as heard."""
        return next((said for _, said in self.held if said[0] << 8 | said[1] not in TROUBLE), None)

    def say(self, message: bytes, part: Part | None = None) -> None:
        """Send it to the peer, for this part or for ourselves."""
        if self._said and self._said[-1][0] is part:
            self._said[-1] = (part, self._said[-1][1] + 1)
        else:
            self._said.append((part, 1))
        self.line.say(message)

    def sent(self, count: int) -> list[tuple[Part, int]]:
        """So many of the oldest messages have gone out: how many for which part."""
        parts = []
        while count:
            part, waiting = self._said.popleft()
            if waiting > count:
                self._said.appendleft((part, waiting - count))
            if part is not None:
                parts.append((part, min(count, waiting)))
            count -= min(count, waiting)
        return parts
