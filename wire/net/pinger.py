"""When to ping a peer, and when it is gone: for the owner of its connection. Time and chance are arguments.

A peer that has said nothing for a while is pinged, and one that says nothing after that is gone. Whatever it says is
life: its pong may stand behind much else. BOLT 1, The `ping` and `pong` Messages.
"""

import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto

from wire.control.timing import Timing

PONG_BYTES = 1
"""What our pings ask for (CLN's figure)."""
NO_PONG = 65_532
"""A ping that asks for so many bytes or more gets no pong (B1-37)."""
MAX_PINGS = 100
"""Pings whose pongs are waited for; the oldest is given up for one more."""
TOR_PATIENCE = 3.0
"""How much longer everything may take through Tor (lnd's figure)."""


class Verdict(Enum):
    """What a look at a peer leads to."""

    NOTHING = auto()
    PING = auto()
    """A ping is to be sent now."""
    GONE = auto()
    """Not a word since it was pinged."""


def patience_for(address: str) -> float:
    """By what factor to wait longer for a peer at this address."""
    return TOR_PATIENCE if ".onion" in address else 1.0


class Pinger:
    """One connection. `heard_at` is set by its owner with each read; `latency` is that of the last pong, in seconds."""

    __slots__ = ("_patience", "_pinged_at", "_timing", "heard_at", "latency")

    def __init__(self, now: float, timing: Timing, patience: float = 1.0) -> None:
        self.heard_at = now
        self.latency: float | None = None
        self._pinged_at: float | None = None
        self._timing = timing
        self._patience = patience

    @property
    def _waits(self) -> bool:
        """Nothing has been heard since the last ping."""
        return self._pinged_at is not None and self.heard_at < self._pinged_at

    def look(self, now: float) -> Verdict:
        """To be called after `pause`, again and again."""
        if self._waits:
            return Verdict.GONE
        if now - self.heard_at < self._timing.ping_idle:
            return Verdict.NOTHING
        self._pinged_at = now
        return Verdict.PING

    def pause(self, chance: float) -> float:
        """Seconds until the next look. `chance` is in [0, 1): peers are not to be pinged in step."""
        least, most = self._timing.ping_timer
        if self._waits:
            return (self._timing.pong_timeout + chance * least) * self._patience
        return least + chance * (most - least)

    def ponged(self, now: float) -> None:
        """The pong has come."""
        if self._pinged_at is not None:
            self.latency = now - self._pinged_at
            self._pinged_at = None


PongHandler = Callable[[int | None], None]
"""Gets the size of the pong in all, or None if it does not come here any more."""


class Pings:
    """The pings of one connection that have not been answered: ours, and those that a user has asked for."""

    __slots__ = ("_clock_ns", "_waiting")

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._waiting: deque[tuple[int, PongHandler, int]] | None = None
        """None while there are none, as mostly: an empty one has 0.6 kB."""

    def said(self, num_pong_bytes: int, answered: PongHandler) -> None:
        """A ping was sent. `answered` is called at once if it asks for no pong."""
        if num_pong_bytes >= NO_PONG:
            answered(0)
            return
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) == MAX_PINGS:
            self._waiting.popleft()[1](None)
        self._waiting.append((num_pong_bytes, answered, self._clock_ns()))

    def heard(self, total: int, ignored: int) -> int | None:
        """A pong of `total` bytes with `ignored` ignored ones: nanoseconds since its ping; None if no ping wanted it.

        Pongs come in the order of their pings: what was asked before the one that it answers gets none.
        """
        waiting = self._waiting
        if waiting is None or ignored not in (size for size, _, _ in waiting):
            return None
        while (asked := waiting.popleft())[0] != ignored:
            asked[1](None)
        if not waiting:
            self._waiting = None
        asked[1](total)
        return self._clock_ns() - asked[2]

    def fail(self) -> None:
        """The connection leaves: the pongs are not heard here."""
        waiting, self._waiting = self._waiting, None
        for _, answered, _ in waiting or ():
            answered(None)
