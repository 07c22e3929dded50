"""Whose turn it is: what strangers make a process do is done in turns that end, and each source has a fair share.

A turn of the loop spends `TURN` seconds on strangers at most, and the piece of work that it is at; then the loop looks
at its sockets and timers again. Work is done piece by piece, next for the source that has been given least processor
time since there was nothing to do (start-time fair queueing); the connections of one source take turns with each other.
What is sent in bulk waits in a line of its own, which has one piece after WORDS of the other: a ping then waits for one
piece of a stream, and not for as many as its source has streams.
"""

import heapq
import time
from collections import deque
from collections.abc import Callable, Hashable
from typing import Protocol

TURN = 0.01
"""Seconds."""
QUANTUM = 16_384
"""Bytes of one connection's messages that are heard in one piece; a message counts MESSAGE_COST more than it has."""
MESSAGE_COST = 256
WORDS = 4
"""Pieces of what is said, for each of bulk of the same source, if both wait."""

Work = Callable[[], None]


class Loop(Protocol):
    """The part of an asyncio loop that this is about."""

    def call_soon(self, callback: Callable[[], None], /) -> object:
        """Call it in the next turn."""

    def time(self) -> float:
        """Seconds."""


class _Lines:
    """What waits of one source."""

    __slots__ = ("_bulk", "_since_bulk", "_words")

    def __init__(self) -> None:
        self._words: deque[Work] = deque()
        self._bulk: deque[Work] = deque()
        self._since_bulk = 0

    def __bool__(self) -> bool:
        return bool(self._words or self._bulk)

    def append(self, work: Work, bulk: bool) -> None:
        """Behind the others of its kind."""
        (self._bulk if bulk else self._words).append(work)

    def pop(self) -> Work:
        """The next one; there must be one."""
        if self._words and not (self._bulk and self._since_bulk >= WORDS):
            self._since_bulk += 1
            return self._words.popleft()
        self._since_bulk = 0
        return self._bulk.popleft()


class FairTurns:
    """Pieces of work that wait, by source. Who adds one sees to it that a connection has one here at a time."""

    def __init__(self, loop: Loop, spent: Callable[[], float] = time.thread_time) -> None:
        """`spent`: seconds that this thread has computed. The wall clock of a busy machine would charge a source for
        what other processes do while its piece is under way.
        """
        self._loop = loop
        self._spent = spent
        self._waiting: dict[Hashable, _Lines] = {}
        self._order: list[tuple[float, int, Hashable]] = []
        """A heap of (seconds used, sequence, source), each source that waits once."""
        self._used: dict[Hashable, float] = {}
        """Seconds, each from what was used by all when the source came."""
        self._now = 0.0
        """Seconds that the source has used which was served last."""
        self._sequence = 0
        self._due = False
        self._begin = 0.0
        """When the last turn began."""
        self._served = _Lines()
        """What waits besides of the source that is served."""

    def __len__(self) -> int:
        """Sources that wait."""
        return len(self._waiting)

    def add(self, source: Hashable, work: Work, *, bulk: bool = False) -> None:
        """Have this done in one of the next turns; it may add itself again. `bulk`: a piece of what takes many."""
        lines = self._waiting.get(source)
        if lines is None:
            lines = self._waiting[source] = _Lines()
            self._enqueue(source)
            self._turn_soon()
        lines.append(work, bulk)

    def may_go_on(self) -> bool:
        """Whether the work that is done now may go on with its next piece: the turn lasts, and no other waits."""
        return not self._order and not self._served and self._loop.time() - self._begin < TURN

    def _enqueue(self, source: Hashable) -> None:
        self._sequence += 1
        heapq.heappush(self._order, (max(self._now, self._used.get(source, 0.0)), self._sequence, source))

    def _turn_soon(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._due = False
        clock, spent = self._loop.time, self._spent
        self._begin, now = clock(), spent()
        while self._order and clock() - self._begin < TURN:
            used, _, source = heapq.heappop(self._order)
            self._now = used
            lines = self._served = self._waiting[source]
            lines.pop()()
            while lines and not self._order and clock() - self._begin < TURN:
                lines.pop()()  # it waits alone: to measure is a call of the kernel, and there is nothing to compare
            before, now = now, spent()
            self._used[source] = used + now - before
            if lines:
                self._enqueue(source)
            else:
                del self._waiting[source]
        if self._order:
            self._forget()
            self._due = True
            self._loop.call_soon(self._turn_later)
        else:
            self._used.clear()
            self._now = 0.0

    def _turn_later(self) -> None:
        """Behind what the loop has found at its sockets meanwhile: a ping that has come is heard in this turn."""
        self._loop.call_soon(self._turn)

    def _forget(self) -> None:
        """Sources that would begin where all do."""
        if len(self._used) > 64 + 2 * len(self._waiting):
            self._used = {source: used for source, used in self._used.items() if used > self._now}
