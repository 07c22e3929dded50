"""An SVG document with two axes, curves and bars. It follows its reader's colour scheme and needs nothing else.

All numbers that come in are the caller's; all texts are escaped.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from lightningd_py.plots.axes import Axis
from wire.command.text import NOT_XML

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 420, 70, 40, 30, 50
LEGEND = 230
"""Wide, where curves have names."""
LINE = 18
COLOURS = ("#1b7f5c", "#c2540a", "#5b54a4", "#c4206f", "#4b7a12", "#8a6d00", "#8a5a12", "#5a5a5a")
DARK_COLOURS = ("#3fc79a", "#ff9a55", "#a9a3f0", "#ff7ab8", "#9bd14a", "#e6c02a", "#d9a45c", "#b5b5b5")
"""Readable on white and on black: 4.5 to 1 at least."""
STRONG = -1
"""The colour of text, for what matters most."""


class Curve(NamedTuple):
    """Steps through points, in the axes' units; `start` is where it comes from at the left edge, None for the first
    point. `colour`: a place in COLOURS (which begin again), or STRONG. `straight`: lines from point to
    point instead."""

    points: Sequence[tuple[float, float]]
    name: str = ""
    colour: int = 0
    wide: float = 1.5
    start: float | None = 0.0
    straight: bool = False


class Bar(NamedTuple):
    """From `low` to `high` of the x axis."""

    low: float
    high: float
    value: float


def document(title: str, x: Axis, y: Axis, curves: Sequence[Curve] = (), bars: Sequence[Bar] = ()) -> str:
    """The whole document, with a line end. Curves with a name are in a legend, in their order."""
    return "\n".join(_Drawing(x, y, any(curve.name for curve in curves)).lines(title, curves, bars)) + "\n"


class _Drawing:
    def __init__(self, x: Axis, y: Axis, has_legend: bool) -> None:
        self._x, self._y = x, y
        self._right = WIDTH - RIGHT - LEGEND * has_legend
        self._wide, self._high = self._right - LEFT, HEIGHT - TOP - BOTTOM

    def lines(self, title: str, curves: Sequence[Curve], bars: Sequence[Bar]) -> Iterator[str]:
        size = f'width="{WIDTH}" height="{HEIGHT}"'
        yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" {size}>'
        yield f"<style>{_style()}</style>"
        yield f'<rect class="paper" {size}/>'
        yield _text(LEFT, TOP - 16, title, "start")
        for value, label in self._y.ticks:
            yield f'<path class="grid" d="M{LEFT} {self._down(value):.1f}H{self._right}"/>'
            if label:
                yield _text(LEFT - 6, self._down(value) + 4, label, "end")
        for value, label in self._x.ticks:
            yield f'<path class="grid" d="M{self._across(value):.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
            if label:
                yield _text(self._across(value), HEIGHT - BOTTOM + 18, label, "middle")
        if self._x.name:
            yield _text(LEFT + self._wide / 2, HEIGHT - 10, self._x.name, "middle")
        for bar in bars:
            yield self._bar(bar)
        for curve in curves:
            yield self._curve(curve)
        named = [curve for curve in curves if curve.name]
        for number, curve in enumerate(named):
            yield _text(self._right + 12, TOP + 12 + LINE * number, curve.name, "start", _class(curve.colour, "t"))
        yield "</svg>"

    def _across(self, value: float) -> float:
        return LEFT + self._wide * self._x.place(value)

    def _down(self, value: float) -> float:
        return HEIGHT - BOTTOM - self._high * self._y.place(value)

    def _curve(self, curve: Curve) -> str:
        points = curve.points
        if curve.start is not None:
            path = f"M{LEFT} {self._down(curve.start):.1f}"
        elif points:
            path = f"M{self._across(points[0][0]):.1f} {self._down(points[0][1]):.1f}"
        else:
            path = f"M{LEFT} {HEIGHT - BOTTOM}"
        form = "L{:.1f} {:.1f}" if curve.straight else "H{:.1f}V{:.1f}"
        path += "".join(form.format(self._across(at), self._down(value)) for at, value in points)
        return f'<path class="{_class(curve.colour, "c")}" d="{path}" fill="none" stroke-width="{curve.wide:g}"/>'

    def _bar(self, bar: Bar) -> str:
        left, right, top = self._across(bar.low), self._across(bar.high), self._down(bar.value)
        wide = max(0.5, right - left - 1)
        return (
            f'<rect class="b0" x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{HEIGHT - BOTTOM - top:.1f}"/>'
        )


def _class(colour: int, kind: str) -> str:
    return f"{kind}s" if colour == STRONG else f"{kind}{colour % len(COLOURS)}"


def _style() -> str:
    dark = _scheme(DARK_COLOURS, "#14171a", "#e8e8e8", "#363b40")
    light = _scheme(COLOURS, "#ffffff", "#1a1a1a", "#dddddd")
    return f"text{{font:12px sans-serif}}{light}@media(prefers-color-scheme:dark){{{dark}}}"


def _scheme(colours: Sequence[str], paper: str, ink: str, grid: str) -> str:
    found = f".paper{{fill:{paper}}}text,.ts{{fill:{ink}}}.cs{{stroke:{ink}}}.grid{{stroke:{grid};fill:none}}"
    found += f".b0{{fill:{colours[0]}}}"
    return found + "".join(f".c{i}{{stroke:{each}}}.t{i}{{fill:{each}}}" for i, each in enumerate(colours))


def _text(x: float, y: float, text: str, anchor: str, class_: str = "ts") -> str:
    safe = escape(NOT_XML.sub("?", text))
    return f'<text class="{class_}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{safe}</text>'
