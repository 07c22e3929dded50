"""Figures of each vantage point: what it hears a second, what became of it, from how many peers, how old it is here."""

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lightningd_py.observatory.jetstream.points import verdict
from lightningd_py.observatory.live.batches import Batch
from lightningd_py.observatory.live.messages import outcome_of
from lightningd_py.observatory.tables.schemas import TABLES
from wire.start.late_dataclass import dataclass

POINT_TABLES = ("arrivals", "clock", "losses")
"""What they are made of."""
RATE_OVER = 10.0
"""Seconds over which a rate is taken."""
MOST, MOST_PEERS = 1_000, 2_000
"""Vantage points, and peers of each that are counted: the first ones."""
MOST_BATCHES = 256
"""Of one, for its rate."""


class PointRow(NamedTuple):
    """As of now. `rate`: arrivals a second. `lag`: seconds that its newest row is old. `peers`: that it has heard
    something from. `lost`: batches that have not come here, and rows that it tells of as lost. `state`: silent, behind,
    ahead or empty."""

    name: str
    rate: float
    arrivals: int
    outcomes: dict[str, int]
    peers: int
    lag: float
    lost: int
    state: str


@dataclass
class _Point:
    newest_ns: int = 0
    heard_at: float = 0.0
    arrivals: int = 0
    lost: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    peers: set[bytes] = field(default_factory=set)
    recent: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=MOST_BATCHES))


class PointFigures:
    """Filled by the thread that hears, read by another."""

    def __init__(self, now: Callable[[], float] = time.monotonic, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now, self._now_ns = now, now_ns
        self._lock = threading.Lock()
        self._points: dict[str, _Point] = {}

    def take(self, found: Batch) -> None:
        """What comes."""
        with self._lock:
            if found.vantage not in self._points and len(self._points) >= MOST:
                return
            point = self._points.setdefault(found.vantage, _Point())
            point.heard_at = self._now()
            newest: int = pc.max(found.rows.column(TABLES[found.table].time)).as_py()
            point.newest_ns = max(point.newest_ns, newest)
            point.lost += found.lost
            if found.table == "arrivals":
                self._take_arrivals(point, found.rows)
            elif found.table == "losses":
                point.lost += pc.sum(found.rows.column("count")).as_py() or 0

    def _take_arrivals(self, point: _Point, rows: pa.RecordBatch) -> None:
        point.arrivals += rows.num_rows
        point.recent.append((self._now(), rows.num_rows))
        for each in rows.column("outcome").value_counts().to_pylist():
            said: str | None = each["values"]
            point.outcomes["-" if said is None else outcome_of(said)] += each["counts"]
        peers = {peer for peer in rows.column("peer").unique().to_pylist() if peer is not None}
        if len(point.peers) < MOST_PEERS:
            point.peers |= peers

    def rows(self) -> list[PointRow]:
        """One for each, by name."""
        with self._lock:
            return [self._row(name, point) for name, point in sorted(self._points.items())]

    def _row(self, name: str, point: _Point) -> PointRow:
        since = self._now() - RATE_OVER
        rate = sum(count for at, count in point.recent if at > since) / RATE_OVER
        lag_ns = self._now_ns() - point.newest_ns
        return PointRow(
            name,
            rate,
            point.arrivals,
            dict(point.outcomes),
            len(point.peers),
            lag_ns / 1e9,
            point.lost,
            verdict(self._now() - point.heard_at, lag_ns),
        )
