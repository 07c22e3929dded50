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


_SENTENCES = {"silent": "is silent", "ahead": "has a clock that is ahead", "behind": "is behind", "": ""}


def verdict(silent: float, lag_ns: int) -> str:
    """The words silent, ahead or behind, or none if nothing is wrong. `silent`: seconds since anything has come;
    `lag_ns`: how old the newest row is."""
    if silent > SILENT:
        return "silent"
    if lag_ns < -AHEAD_NS:
        return "ahead"
    return "behind" if lag_ns > BEHIND_NS else ""


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
            wrong = _SENTENCES[verdict(self._now() - point.heard_at, now_ns - point.newest_ns)]
            if wrong != point.said:
                self._say(f"{name} {wrong or 'is there again, and up to date'}")
                self.by_name[name] = point._replace(said=wrong)
