"""Axes of a plot: where a value is, and which values have a line and a label."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

SHARES = ((0, "0 %"), (25, "25 %"), (50, "50 %"), (75, "75 %"), (90, "90 %"), (100, "100 %"))
MOST_TICKS = 8


class Axis(NamedTuple):
    """From `low` to `high`; a logarithmic one has all that is below `low` at its left end. `ticks`: value and label."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...] = ()
    logarithmic: bool = False
    name: str = ""

    def place(self, value: float) -> float:
        """From 0 to 1; what is outside is at an end."""
        if self.logarithmic:
            found = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            found = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, found))


def shares(high: float = 100.0) -> Axis:
    """Per cent of `high`."""
    return Axis(0, high, tuple((high * share / 100, label) for share, label in SHARES))


def counts(high: float, label: Callable[[float], str] | None = None, name: str = "", low: float = 0.0) -> Axis:
    """From a round number that is not above `low` to one that is not below `high`, with labels at round numbers, whole
    ones unless `label` writes them.
    """
    high = max(high, low + 1e-9 * max(1.0, abs(low)))
    decade = 10.0 ** math.floor(math.log10(high - low))
    steps = [decade * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if label or (decade * part).is_integer()]
    step = next((step for step in steps if (high - low) / step <= MOST_TICKS), 1.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    shown = label or (lambda value: f"{value:,.10g}" if value < 1e6 else f"{value / 1e6:,.10g} M")
    return Axis(
        step * first, step * last, tuple((step * i, shown(step * i)) for i in range(first, last + 1)), name=name
    )


def decades(low: float, high: float, label: Callable[[float], str], name: str = "") -> Axis:
    """A logarithmic axis over whole powers of ten that include both; both more than 0."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(max(high, low * 10)) - 1e-9)
    ticks = tuple((10.0**power, label(10.0**power)) for power in range(first, last + 1))
    return Axis(10.0**first, 10.0**last, ticks, logarithmic=True, name=name)


_STEPS = (60, 300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)


def clock(since: float, until: float) -> Axis:
    """Unix seconds, UTC: times of the day, or dates where it is more than two days."""
    until = max(until, since + 1)
    step = next((step for step in _STEPS if (until - since) / step <= MOST_TICKS), _STEPS[-1])
    form = "%H:%M" if until - since <= 2 * 86_400 else "%Y-%m-%d"
    first = -(-since // step) * step
    ticks = []
    while first <= until:
        ticks.append((first, time.strftime(form, time.gmtime(first))))
        first += step
    return Axis(since, until, tuple(ticks), name=time.strftime("%Y-%m-%d, UTC", time.gmtime(since)))
