"""Vantage points as an archive hears them: which are silent, and which are behind. Each is said once."""

import time
from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lightningd_py.observatory.tables.schemas import TABLES

SILENT, BEHIND_NS = 180.0, 60_000_000_000
"""Seconds without anything: each recorder sends its clock's row once a minute. Nanoseconds that the newest row is older
than it may be."""
AHEAD_NS = 60_000_000_000
"""A row from so far in the future tells of a clock that is wrong."""
MOST = 10_000


class Point(NamedTuple):
    """`heard_at`: monotonic seconds; `newest_ns`: of its rows; `said`: what is wrong with it, empty if nothing is."""

    heard_at: float
    newest_ns: int
    said: str = ""


class Points:
    """All that were heard of in this run."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._now = now
        self.by_name: dict[str, Point] = {}

    def heard(self, table: str, found: pa.RecordBatch) -> None:
        """A batch that came just now."""
        name: str = found.column("vantage")[0].as_py()
        newest: int = pc.max(found.column(TABLES[table].time)).as_py()
        known = self.by_name.get(name)
        if known is None and len(self.by_name) >= MOST:
            return
        newest = newest if known is None else max(newest, known.newest_ns)
        self.by_name[name] = Point(self._now(), newest, "" if known is None else known.said)

    def look(self, now_ns: int) -> None:
        """Say of whom something is wrong, and of whom it is right again."""
        for name, point in self.by_name.items():
            wrong = self._wrong(point, now_ns)
            if wrong != point.said:
                self._say(f"{name} {wrong or 'is there again, and up to date'}")
                self.by_name[name] = point._replace(said=wrong)

    def _wrong(self, point: Point, now_ns: int) -> str:
        if self._now() - point.heard_at > SILENT:
            return "is silent"
        if point.newest_ns > now_ns + AHEAD_NS:
            return "has a clock that is ahead"
        if point.newest_ns < now_ns - BEHIND_NS:
            return "is behind"
        return ""
