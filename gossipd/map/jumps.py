"""Jumps of the wall clock, seen by the monotonic one: a sleep, or a clock that was wrong, or is set right."""

from typing import Protocol

APART = 60.0
"""Seconds that the wall clock may go astray between two looks, which are a second or so apart."""


class Clocks(Protocol):
    """Both clocks of a daemon."""

    def now(self) -> float:
        """Unix seconds, for comparisons with what messages say."""

    def clock(self) -> float:
        """Monotonic seconds, for intervals."""


class Jumps:
    """Call `look` from time to time."""

    def __init__(self, clocks: Clocks, rest: float) -> None:
        """`rest`: seconds after a jump in which the wall clock is not relied on: perhaps it is set right."""
        self._clocks = clocks
        self._rest = rest
        self._offset = self._ahead()
        self._settled_at = float("-inf")

    def _ahead(self) -> float:
        """How far the wall clock is ahead of the monotonic one."""
        return self._clocks.now() - self._clocks.clock()

    def look(self) -> float:
        """By how many seconds the wall clock has jumped since the last look; 0.0 if it goes on as it should."""
        before, self._offset = self._offset, self._ahead()
        jump = self._offset - before
        if abs(jump) <= APART:
            return 0.0
        self._settled_at = self._clocks.clock() + self._rest
        return jump

    @property
    def settled(self) -> bool:
        """Whether the last jump is long enough ago."""
        return self._clocks.clock() >= self._settled_at
