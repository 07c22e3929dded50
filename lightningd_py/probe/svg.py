"""The plot of a probe: channels given over time, of all peers together and of each, as a small SVG."""

from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

from wire.control.status import sane

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 420, 70, 30, 260, 40
COLOURS = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#a6761d", "#666666")
MOST_PEERS = 16
"""Curves of peers; those that gave most."""


def plot(report: dict[str, Any]) -> str:
    """A whole document."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: dict[str, Any]) -> Iterator[str]:
    total = max(1, report["map"]["channels"])
    seconds = max([at for at, _ in report["curve"]] or [report["seconds"]]) * 1.05 or 1.0
    x = (WIDTH - LEFT - RIGHT) / seconds
    y = (HEIGHT - TOP - BOTTOM) / total
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    yield f'<rect {size} fill="white"/>'
    for share in (0, 25, 50, 75, 90, 95, 99, 100):
        at = HEIGHT - BOTTOM - total * share / 100 * y
        yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        if share not in (95, 99):
            yield _text(LEFT - 6, at + 4, f"{share} %", "end")
    for i in range(6):
        yield _text(LEFT + seconds * i / 5 * x, HEIGHT - BOTTOM + 18, f"{seconds * i / 5:.3g} s", "middle")
    best = sorted(report["peers"], key=lambda peer: -int(peer["first_channels"]))[:MOST_PEERS]
    for i, peer in enumerate(best):
        colour = COLOURS[i % len(COLOURS)]
        yield _curve(peer["curve"], x, y, colour, 1)
        name = f"{sane(peer['target'])[:16]}… {peer['first_channels']}"
        yield _text(WIDTH - RIGHT + 12, TOP + 34 + 18 * i, name, "start", colour)
    yield _curve(report["curve"], x, y, "black", 2)
    yield _text(WIDTH - RIGHT + 12, TOP + 12, f"all peers: {report['map']['given']} of {total} channels", "start")
    yield "</svg>"


def _curve(points: Sequence[Sequence[float]], x: float, y: float, colour: str, wide: int) -> str:
    """Steps, from nothing on."""
    path = f"M{LEFT} {HEIGHT - BOTTOM}" + "".join(
        f"H{LEFT + at * x:.1f}V{HEIGHT - BOTTOM - count * y:.1f}" for at, count in points
    )
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{wide}"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "black") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
