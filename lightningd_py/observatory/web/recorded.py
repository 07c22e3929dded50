"""What a record says: the map at a time, how it has grown, and how messages spread. Blocking: for `Questions`."""

import time
from pathlib import Path
from typing import Any

from lightningd_py.observatory.history.as_of import gossmap_then
from lightningd_py.observatory.history.growth import growth
from lightningd_py.observatory.history.map_then import map_then
from lightningd_py.observatory.history.spread import SHARES, Window, propagation_of_top
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.query import Query, asking
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.web.map_json import columns
from lightningd_py.observatory.web.positions import Positions

DAY_NS = 86_400_000_000_000
POINTS = 200
LEAST_PEERS = 2

_FIRST = "SELECT min(time_ns) FROM map WHERE topic = 'checkpoint_end'"
_NEWEST = """
SELECT vantage, min(time_ns) FROM map WHERE topic = 'checkpoint_end' GROUP BY vantage
ORDER BY max(time_ns) DESC, vantage LIMIT 1
"""


class Recorded:
    """A recorder's folder, which need not be there yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._record: Record | None = None

    def _open(self) -> Record:
        """Raises ObservatoryError."""
        if self._record is None:
            self._record = Record(self._folder)
        return self._record

    def extent(self) -> dict[str, Any]:
        """`since_ms`: of the first whole map, None if there is none; `until_ms`: now. Raises ObservatoryError."""
        first = asking(self._open(), _extent)
        return {"since_ms": None if first is None else first // 1_000_000 + 1, "until_ms": int(time.time() * 1000)}

    def map_at(self, at_ms: int, positions: Positions) -> dict[str, Any]:
        """The page's columns of that map. Raises ObservatoryError."""
        record = self._open()
        then = map_then(record, at_ms * 1_000_000)
        with gossmap_then(record, then) as gossmap:
            return columns(gossmap, positions) | {"at_ms": at_ms, "vantage": then.vantage}

    def growth(self) -> dict[str, Any]:
        """Channels on the map of the vantage point with the newest checkpoint, from its own first one on. Raises
        ObservatoryError."""
        record, until_ns = self._open(), time.time_ns()
        newest = asking(record, _newest)
        if newest is None:
            raise ObservatoryError("no whole map was recorded")
        vantage, first = newest
        found = growth(record, first, until_ns, vantage)
        points = [(int(1000 * at), channels) for at, channels in found.points]
        shown = points[:: max(1, len(points) // POINTS)]
        return {"vantage": found.vantage, "points": [*shown, (until_ns // 1_000_000, points[-1][1])]}

    def propagation(self) -> dict[str, Any]:
        """Of the last day: after how many ms which share of the receipts had come. Raises ObservatoryError."""
        until = time.time_ns()
        spread = propagation_of_top(self._open(), 0, Window(until - DAY_NS, until), LEAST_PEERS)
        step = max(1, len(spread.delays) // POINTS)
        delays = spread.delays[step - 1 :: step]
        names = [f"p{round(share * 100)}_ns" for share in SHARES]
        return {
            "messages": spread.all["messages"],
            "receipts": spread.all["receipts"],
            "delays_ms": [round(delay / 1e6, 3) for delay in delays],
            "shares_ms": {name[:-3]: _ms(spread.all[name]) for name in names},
        }


def _ms(ns: float | None) -> float | None:
    return None if ns is None else round(ns / 1e6, 3)


def _extent(query: Query) -> int | None:
    query.load("map", ["topic"])
    first: int | None = query.rows(_FIRST)[0][0]
    return first


def _newest(query: Query) -> tuple[str, int] | None:
    """The vantage point with the newest checkpoint, and the time of its first one."""
    query.load("map", ["vantage", "topic"])
    found: list[Any] = query.rows(_NEWEST)
    return (found[0][0], found[0][1]) if found else None
