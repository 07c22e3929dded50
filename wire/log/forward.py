"""Lines of the log once more, for the master: `getlog` and the notifications of the log come from them.

So many a second, after a burst of so many: what is more is counted, and the next line that goes says how many were
left out. Nothing waits here, and nothing that the way to the master logs itself takes that way.
"""

import logging
import os
import threading
import time
from collections.abc import Callable

from wire.log.line import message_of, node_id_of
from wire.start.late_dataclass import dataclass

RATE, BURST = 50.0, 500.0
"""Lines a second, and how many may come at once."""
LONGEST = 1_000
"""Characters of a line."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line. `created`: unix seconds; `node_id` in hex, or empty; `left_out`: lines before this one."""

    created: float
    level: int
    source: str
    node_id: str
    text: str
    left_out: int = 0


class Forward(logging.Handler):
    """Gives lines to `say`, which returns whether it has taken the line; of this process and thread only."""

    def __init__(self, say: Callable[[Line], bool], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._say = say
        self._clock = clock
        self._who = os.getpid(), threading.get_ident()
        self._tokens, self._at = BURST, clock()
        self._left_out = 0
        self._saying = False

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises."""
        if self._saying or self._who != (os.getpid(), threading.get_ident()):
            return
        self._saying = True
        try:
            if not self._may() or not self._say(self._line(record)):
                self._left_out += 1
            else:
                self._left_out = 0
        finally:
            self._saying = False

    def _line(self, record: logging.LogRecord) -> Line:
        text = message_of(record)
        if record.exc_info and record.exc_info[0] is not None:
            text += f" ({record.exc_info[0].__name__}: the log has the traceback)"
        return Line(record.created, record.levelno, record.name, node_id_of(record), text[:LONGEST], self._left_out)

    def _may(self) -> bool:
        now = self._clock()
        self._tokens = min(BURST, self._tokens + RATE * (now - self._at))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
