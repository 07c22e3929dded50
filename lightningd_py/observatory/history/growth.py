"""How the number of channels went, and what arrived when, out of a record."""

from typing import NamedTuple

from lightningd_py.observatory.history.map_then import map_then
from lightningd_py.observatory.history.spread import Window
from lightningd_py.observatory.tables.query import Query, asking
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.times import SECOND_NS

KINDS = {258: "channel_update", 257: "node_announcement", 256: "channel_announcement"}


class Growth(NamedTuple):
    """(unix seconds, channels from then on); the first is that at the beginning."""

    vantage: str
    points: list[tuple[float, int]]


_CHANGES = """
SELECT time_ns, topic, scid FROM map WHERE vantage = $1 AND why IS DISTINCT FROM 'checkpoint' AND scid IS NOT NULL
AND topic IN ('channel_announcement', 'channel_removed') ORDER BY time_ns
"""


def growth(record: Record, since_ns: int, until_ns: int, vantage: str | None = None) -> Growth:
    """Of one vantage point's map. Raises ObservatoryError if it has none at the beginning."""
    then = map_then(record, since_ns, vantage)
    scids = set(then.channels)
    points = [(since_ns / SECOND_NS, len(scids))]

    def ask(query: Query) -> list[tuple[int, str, int]]:
        query.load("map", ["vantage", "topic", "scid", "why"], since_ns, until_ns)
        return [(row[0], row[1], row[2]) for row in query.rows(_CHANGES, [then.vantage])]

    for time_ns, topic, scid in asking(record, ask):
        (scids.add if topic == "channel_announcement" else scids.discard)(scid)
        if len(scids) != points[-1][1]:
            points.append((time_ns / SECOND_NS, len(scids)))
    return Growth(then.vantage, points)


def arrivals(record: Record, window: Window, bin_seconds: int) -> dict[str, dict[int, int]]:
    """Kind -> unix second at which a bin begins -> arrivals in it, of all peers and vantage points."""

    def ask(query: Query) -> list[tuple[int, int, int]]:
        query.load("arrivals", ["time_ns", "type", "dir"], window.since_ns, window.until_ns)
        step = bin_seconds * SECOND_NS
        rows = query.rows(
            f"SELECT type, time_ns // {step}, count(*) FROM arrivals WHERE dir = 0 GROUP BY ALL ORDER BY ALL"
        )
        return [(row[0], row[1], row[2]) for row in rows]

    found: dict[str, dict[int, int]] = {name: {} for name in KINDS.values()}
    for kind, bin_, count in asking(record, ask):
        if kind in KINDS:
            found[KINDS[kind]][bin_ * bin_seconds] = count
    return found
