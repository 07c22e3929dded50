"""Readings, how they grow, and the table of them."""

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.harness import number

WORSE = 1.15
"""The exponent above which something grows worse than linear, noise allowed for."""


class Reading(NamedTuple):
    """One measurement. `row`: its name, the same at each size; `by`: what grows, in the plural; `each`: the cost of one
    operation, not of all there is."""

    row: str
    by: str
    at: float
    cost: float
    unit: str
    each: bool = True


@dataclass(frozen=True)
class Scope:
    """What a walk gets."""

    quick: bool
    directory: Path

    def sizes(self, *all_of_them: int) -> tuple[int, ...]:
        """These, or the first two with --quick."""
        return all_of_them[:2] if self.quick else all_of_them

    def count(self, usual: int) -> int:
        """How often to do something: a tenth with --quick."""
        return max(1, usual // 10) if self.quick else usual


class Curve(NamedTuple):
    """A row on so many cores: (at, cost) in order."""

    row: str
    by: str
    unit: str
    each: bool
    cores: int
    points: list[tuple[float, float]]

    @property
    def exponent(self) -> float | None:
        """x where all that there is costs size ** x, between the first and the last size; None if that cannot be said:
        at one size, or for a cost of nothing."""
        (first, low), (last, high) = self.points[0], self.points[-1]
        if first == last or low <= 0 or high <= 0 or first <= 0:
            return None
        return math.log(high / low) / math.log(last / first) + self.each


def curves_of(readings: Iterable[tuple[int, Reading]]) -> list[Curve]:
    """`readings`: each with the number of cores. In the order in which they came; of two at a size the least counts."""
    found: dict[tuple[str, int], Curve] = {}
    least: dict[tuple[str, int, float], float] = {}
    for cores, reading in readings:
        key = reading.row, cores
        found.setdefault(key, Curve(reading.row, reading.by, reading.unit, reading.each, cores, []))
        at = (*key, reading.at)
        least[at] = min(reading.cost, least.get(at, math.inf))
    for (row, cores, size), cost in least.items():
        found[row, cores].points.append((size, cost))
    return [curve._replace(points=sorted(curve.points)) for curve in found.values()]


def table(curves: Iterable[Curve]) -> Iterator[str]:
    """Lines of Markdown: a line a row and number of cores."""
    yield "| row | unit | cores | cost at each size | in all it grows as | |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for curve in curves:
        points = "; ".join(f"{at:,.0f}: {number(cost)}" for at, cost in curve.points)
        exponent = curve.exponent
        grows = "" if exponent is None else f"{curve.by}^{exponent:.2f}"
        verdict = "worse than linear" if exponent is not None and exponent > WORSE else ""
        yield f"| {curve.row} | {curve.unit} | {curve.cores} | {points} | {grows} | {verdict} |"


def to_json(about: dict[str, Any], curves: Iterable[Curve]) -> str:
    """The whole file."""
    return json.dumps({"about": about, "curves": [curve._asdict() for curve in curves]}, indent=1) + "\n"


def from_json(text: str) -> tuple[dict[str, Any], list[Curve]]:
    """What `to_json` has written."""
    found = json.loads(text)
    curves = [Curve(**{**each, "points": [(at, cost) for at, cost in each["points"]]}) for each in found["curves"]]
    return found["about"], curves
