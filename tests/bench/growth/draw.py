"""A plot for each row of a JSON file of `make bench-growth`, beside it."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from lightningd_py.plots.axes import Axis, counts, decades
from lightningd_py.plots.svg import STRONG, Curve, document
from tests.bench.growth import frame


def file_name(row: str) -> str:
    """Of the plot of a row."""
    return "".join(letter if letter.isalnum() else "-" for letter in row.lower()).strip("-") + ".svg"


def plots(curves: list[frame.Curve], about: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(file name, document) of each row, its numbers of cores in one."""
    for row in dict.fromkeys(curve.row for curve in curves):
        of_row = [curve for curve in curves if curve.row == row]
        yield file_name(row), _plot(row, of_row, about)


def _plot(row: str, curves: list[frame.Curve], about: dict[str, str]) -> str:
    sizes = [at for curve in curves for at, _ in curve.points]
    most = max(cost for curve in curves for _, cost in curve.points)
    title = f"{row}, {curves[0].unit} ({about['date']})"
    drawn = [
        Curve(_slope(curve.points), f"{curve.cores} core{'s' * (curve.cores > 1)}", STRONG if i == 0 else i, 2, None)
        for i, curve in enumerate(curves)
    ]
    return document(title, _sizes(min(sizes), max(sizes), curves[0].by), counts(most or 1.0), drawn)


def _sizes(low: float, high: float, name: str) -> Axis:
    return decades(max(low, 1), max(high, 10), lambda value: f"{value:,.0f}", name)


def _slope(points: list[tuple[float, float]], pieces: int = 60) -> list[tuple[float, float]]:
    """The house's curves are steps: straight lines between the points, on an axis of decades, as many small ones."""
    found = [points[0]]
    for (left, low), (right, high) in pairwise(points):
        for piece in range(1, pieces + 1):
            share = piece / pieces
            found.append((left * (right / left) ** share, low + (high - low) * share))
    return found


def draw(source: Path) -> None:
    """Write all of them."""
    about, curves = frame.from_json(source.read_text())
    for name, text in plots(curves, about):
        (source.parent / name).write_text(text)
        print(source.parent / name)
