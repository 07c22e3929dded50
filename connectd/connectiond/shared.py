"""One connection, and the services with a part in it; of each part the numbers and the credit, each way. No sockets.

Each message of a part has a number, counted from 1, and a sender sends no more than the receiver has given room for. So
a lost message is noticed, and what waits anywhere is bounded.
"""

import itertools
from collections import deque
from collections.abc import Iterator

from connectd.connectiond.channel_ids import ChannelIds
from connectd.connectiond.lines.line import Line
from wire.bus.bus_wire import CREDIT, MAX_CREDIT
from wire.bus.sessions import Session
from wire.routing import TROUBLE


class CreditError(Exception):
    """The other end has lost count, or sends more than it may. The text is one sentence for it."""


class Sending:
    """What we send. `credit` messages may be sent now."""

    __slots__ = ("credit", "seq")

    def __init__(self, credit: int, seq: int = 0) -> None:
        self.credit = credit
        self.seq = seq
        """Of the last message."""

    def next(self) -> int:
        """The number of a message that is sent now; there must be credit for it."""
        assert self.credit > 0
        self.credit -= 1
        self.seq += 1
        return self.seq

    def give(self, messages: int) -> None:
        """The receiver has room for so many more. Raises CreditError if that is too many."""
        if self.credit + messages > MAX_CREDIT:
            raise CreditError(f"credit for {self.credit + messages} messages is too much, {MAX_CREDIT} may be")
        self.credit += messages


class Receiving:
    """What we receive: at most `window` messages that we have not dealt with."""

    __slots__ = ("_credit", "_done", "_seq", "_window")

    def __init__(self, window: int, credit: int | None = None, seq: int = 0, done: int = 0) -> None:
        """What follows the window is what `leave` has given, of one that goes on."""
        self._window = window
        self._credit = window if credit is None else credit
        self._seq = seq
        self._done = done

    def leave(self) -> tuple[int, int, int, int]:
        """For the next process: window, credit, number of the last message, how many are done without credit yet."""
        return self._window, self._credit, self._seq, self._done

    def take(self, seq: int) -> None:
        """A message of this number has come. Raises CreditError."""
        if seq != self._seq + 1:
            raise CreditError(f"seq {seq} came where {self._seq + 1} was due")
        if not self._credit:
            raise CreditError(f"message {seq} came without credit for it")
        self._seq = seq
        self._credit -= 1

    def note(self, messages: int) -> None:
        """So many have been dealt with; no credit can be given now."""
        self._done += messages

    def done(self, messages: int) -> int:
        """So many have been dealt with. Returns the credit to give now: nothing until half of the window is due."""
        self.note(messages)
        if 2 * self._done < self._window:
            return 0
        given, self._done = self._done, 0
        self._credit += given
        return given


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
        return self.sending.credit > 0 and not self.session.queue and self.session.waits is None


class _Said:
    """So many messages in a row of one part, or of ourselves."""

    __slots__ = ("count", "part")

    def __init__(self, part: Part | None) -> None:
        self.part = part
        self.count = 1


class Shared:
    """A connection that services own together. The first one of `parts` stands for it."""

    __slots__ = ("_said", "_sizes", "conn_id", "held", "ids", "leaving", "line", "node_id", "parts", "waiting")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.node_id = line.peer.node_id
        self.conn_id = line.peer.conn_id
        self.parts: dict[str, Part] = {}
        self.ids = ChannelIds()
        self.held: deque[tuple[Part, bytes]] = deque()
        """What the peer has said and a service has no room for; nothing more is heard meanwhile. One message, or one
        `error` for several services.
        """
        self.leaving = False
        """No service has a part any more; it goes when all that was said has gone out."""
        self.waiting = 0
        """Bytes that were said to the peer and have not gone out."""
        self._said: deque[_Said] = deque()
        self._sizes: deque[int] = deque()
        """Of each message that has not gone out."""

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
        """What the peer has said and no service has got. Of trouble a copy went up, so it counts as heard."""
        return next((said for _, said in self.held if said[0] << 8 | said[1] not in TROUBLE), None)

    def say(self, message: bytes, part: Part | None = None) -> None:
        """Send it to the peer, for this part or for ourselves."""
        if self._said and self._said[-1].part is part:
            self._said[-1].count += 1
        else:
            self._said.append(_Said(part))
        self._sizes.append(len(message))
        self.waiting += len(message)
        self.line.say(message)

    def whose(self) -> Iterator[Part | None]:
        """For whom each message was said that has not gone out."""
        for said in self._said:
            yield from itertools.repeat(said.part, said.count)

    def sent(self, count: int) -> list[tuple[Part, int]]:
        """So many of the oldest messages have gone out: how many for which part."""
        parts = []
        self.waiting -= sum(self._sizes.popleft() for _ in range(count))
        while count:
            said = self._said[0]
            gone = min(count, said.count)
            said.count -= gone
            count -= gone
            if not said.count:
                self._said.popleft()
            if said.part is not None:
                parts.append((said.part, gone))
        return parts
