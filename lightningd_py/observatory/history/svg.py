"""The plots of a record and of a map: propagation, growth, capacities, fees, arrivals over a day."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from lightningd_py.plots.axes import Axis, clock, counts, decades, shares
from lightningd_py.plots.svg import Bar, Curve, document

FIRST_NS = 1_000_000
"""The time axis of a propagation is logarithmic from here on."""
TICKS = {
    "1 ms": 1e6,
    "10 ms": 1e7,
    "100 ms": 1e8,
    "1 s": 1e9,
    "10 s": 1e10,
    "1 min": 6e10,
    "10 min": 6e11,
    "1 h": 3.6e12,
}
"""In ns."""
BINS_A_DECADE = 5
MOST_POINTS = 600
"""Of a curve: more than there are pixels say nothing."""


def plot_propagation(delays: Sequence[int], title: str) -> str:
    """Of what share of the receipts had come how long after a message's first arrival. `delays`: sorted, in ns."""
    last = float(max([*delays, 10 * FIRST_NS]))
    x = Axis(FIRST_NS, last, tuple((at, name) for name, at in TICKS.items() if at <= last), logarithmic=True)
    share = [(delay, (number + 1) / len(delays)) for number, delay in enumerate(delays)]
    return document(title, x, shares(1.0), [Curve(share, wide=2)])


def plot_growth(points: Sequence[tuple[float, int]], since: float, until: float, title: str) -> str:
    """Of channels over time: (unix seconds, how many from then on), in order."""
    kept = _thinned(points)
    if kept:
        kept = [*kept, (until, kept[-1][1])]
    found = [count for _, count in points] or [0]
    y = counts(max(max(found), min(found) + 1), low=min(found))
    return document(title, clock(since, until), y, [Curve(kept, wide=2, start=None)])


def plot_growth_by_block(blocks: Sequence[int], title: str) -> str:
    """Of the channels that are open now, by the block of their funding: how many there were at each height."""
    ordered = sorted(blocks)
    first, last = (ordered[0], ordered[-1]) if ordered else (0, 1)
    points = _thinned([(float(block), number + 1) for number, block in enumerate(ordered)])
    x = counts(max(last, first + 1), lambda height: f"{height:,.0f}", "block", first)
    return document(title, x, counts(max(len(ordered), 1)), [Curve(points, wide=2)])


def plot_capacities(capacities_sat: Sequence[int], title: str) -> str:
    """A histogram over capacities."""
    known = [max(capacity, 1) for capacity in capacities_sat]
    x = decades(min(known, default=1), max(known, default=10), _sat, "capacity")
    bins = Counter(math.floor(math.log10(capacity) * BINS_A_DECADE + 1e-9) for capacity in known)
    bars = [Bar(10 ** (at / BINS_A_DECADE), 10 ** ((at + 1) / BINS_A_DECADE), count) for at, count in bins.items()]
    return document(title, x, counts(max(bins.values(), default=1)), bars=sorted(bars))


def _sat(value: float) -> str:
    return f"{value / 1e8:,.10g} BTC" if value >= 1e6 else f"{value:,.0f} sat"


def plot_fees(base_msat: Sequence[int], millionths: Sequence[int], title: str) -> str:
    """The share of directions that ask at most so much; what is 0 is at the left edge."""
    most = float(max([*base_msat, *millionths, 10]))
    axis = decades(
        1, most, lambda value: f"{value:,.0f}" if value < 1e6 else f"{value / 1e6:,.0f} M", "at most (0 is at the edge)"
    )
    curves = [
        Curve(_cumulated(values, axis.high), name, colour, 2)
        for colour, (name, values) in enumerate((("millionths", millionths), ("base fee, msat", base_msat)))
    ]
    return document(title, axis, shares(1.0), curves)


def _cumulated(values: Sequence[int], high: float) -> list[tuple[float, float]]:
    if not values:
        return []
    found, so_far = [], 0
    for value, count in sorted(Counter(values).items()):
        so_far += count
        found.append((float(value), so_far / len(values)))
    return [*_thinned(found), (high, 1.0)]


def plot_arrivals(
    counted: Mapping[str, Mapping[int, int]], since: float, until: float, bin_seconds: int, title: str
) -> str:
    """Arrivals a minute over time: of each kind, how many were in the bin that begins at that unix second."""
    first = int(since // bin_seconds) * bin_seconds
    curves, most = [], 0.0
    for colour, (name, bins) in enumerate(counted.items()):
        rates = [(at, bins.get(at, 0) * 60 / bin_seconds) for at in range(first, math.ceil(until), bin_seconds)]
        most = max([most, *(rate for _, rate in rates)])
        stepped = [(at + bin_seconds, rate) for at, rate in rates]
        vertical = [(float(at), rate) for (at, _), (_, rate) in zip(rates, stepped, strict=True)]
        curves.append(Curve([*vertical, *((at, rate) for at, rate in stepped[-1:])], name, colour, 1.5, None))
    return document(title, clock(since, until), counts(most or 1), curves)


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    step = max(1, -(-len(points) // MOST_POINTS))
    picked = sorted({*range(0, len(points), step), len(points) - 1} - {-1})
    return [points[i] for i in picked]
