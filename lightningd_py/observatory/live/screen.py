"""The screen of `top --nats` as lines that fit a terminal: a vantage point a line, and all of them together."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.text import Text

from lightningd_py.observatory.live.points import PointRow
from lightningd_py.terminal.tables import table
from lightningd_py.terminal.units import duration, number
from wire.control.status import sane

KEYS = " s sort  r turn  q quit"
HEAD = ("vantage", "state", "in/s", "arrivals", "new", "redundant", "refused", "peers", "lag", "lost")
SORTS = ("vantage", "in/s", "arrivals", "lag", "lost")
_KEYS: dict[str, Callable[[PointRow], Any]] = {
    "vantage": lambda row: row.name,
    "in/s": lambda row: -row.rate,
    "arrivals": lambda row: -row.arrivals,
    "lag": lambda row: -row.lag,
    "lost": lambda row: -row.lost,
}
REFUSED = ("rejected", "rate-limited", "owed")


def ordered(rows: Sequence[PointRow], sort: str, *, reverse: bool) -> list[PointRow]:
    """By one of SORTS."""
    return sorted(rows, key=_KEYS[sort], reverse=reverse)


def draw(rows: Sequence[PointRow], where: str, trouble: str, now: float, width: int, height: int) -> list[Text]:
    """At most `height` lines, each at most `width` cells. `now`: unix time."""
    total = sum(row.arrivals for row in rows)
    wrong = sum(1 for row in rows if row.state)
    head = Text.assemble(
        (sane(where), "bold"),
        f"  {len(rows)} vantage {'point' if len(rows) == 1 else 'points'}, {wrong} of them silent, behind or ahead  "
        f"{sum(row.rate for row in rows):,.0f}/s, {number(total)} arrivals  "
        f"{time.strftime('%H:%M:%S', time.localtime(now))}",
    )
    lines = [head, Text(trouble, "yellow")] if trouble else [head]
    lines += list(table(HEAD, [_cells(row) for row in rows], width)) if rows else [Text("nothing has come yet", "dim")]
    lines = lines[: max(0, height - 1)]
    lines += [Text()] * (height - 1 - len(lines))
    lines.append(Text(KEYS, "reverse"))
    for line in lines:
        line.truncate(max(1, width), overflow="ellipsis")
    return lines


def _cells(row: PointRow) -> tuple[str, ...]:
    refused = sum(row.outcomes.get(name, 0) for name in REFUSED)
    counts = (row.arrivals, row.outcomes.get("new", 0), row.outcomes.get("redundant", 0), refused, row.peers)
    rate, lag = f"{row.rate:,.0f}", duration(row.lag)
    return (sane(row.name), row.state or "-", rate, *map(number, counts), lag, number(row.lost))
