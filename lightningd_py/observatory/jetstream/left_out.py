"""What is no batch, told of within bounds: anybody with the right to publish may send any amount of rubbish."""

import time
from collections import Counter
from collections.abc import Callable

from wire.command.text import replaced

MOST = 20
"""That are told of one by one in a minute; the others are told of together at its end."""
MINUTE = 60.0

Lose = Callable[[str, int | None, int], None]
"""Writes a row of `losses`: the table, the stream's sequence number, how many."""


class LeftOut:
    """A sentence and a row for each, or for many."""

    def __init__(self, say: Callable[[str], None], lose: Lose, now: Callable[[], float] = time.monotonic) -> None:
        self._say, self._lose, self._now = say, lose, now
        self._told = 0
        self._more: Counter[str] = Counter()
        self._until = now() + MINUTE

    def add(self, table: str, what: str, sequence: int | None, why: object) -> None:
        """One more. `sequence`: its number in the stream, if it comes from one."""
        self._told += 1
        if self._told > MOST:
            self._more[table] += 1
            return
        self._say(replaced(f"{what} is left out: {why}"))
        self._lose(table, sequence, 1)

    def look(self) -> None:
        """At each minute's end."""
        if self._now() >= self._until:
            self.end()

    def end(self) -> None:
        """Tell of those that were not told of."""
        for table, count in self._more.items():
            self._say(f"{count:,} more messages for {table} are left out")
            self._lose(table, None, count)
        self._told, self._until = 0, self._now() + MINUTE
        self._more.clear()
