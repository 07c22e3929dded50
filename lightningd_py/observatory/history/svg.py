"""The plot of a propagation: what share of the receipts had come how long after a message's first arrival."""

import math
from collections.abc import Iterator, Sequence

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 900, 420, 60, 30, 30, 50
FIRST_NS = 1_000_000
"""The time axis is logarithmic from here on."""
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


def plot(delays: Sequence[int], title: str) -> str:
    """A whole document. `delays`: sorted, in ns."""
    return "\n".join(_lines(delays, title)) + "\n"


def _lines(delays: Sequence[int], title: str) -> Iterator[str]:
    last = math.log10(max([*delays, 10 * FIRST_NS]) / FIRST_NS)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(delay: float) -> float:
        return LEFT + wide * math.log10(max(delay, FIRST_NS) / FIRST_NS) / last

    size = f'width="{WIDTH}" height="{HEIGHT}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    yield f'<rect {size} fill="white"/>'
    yield _text(LEFT, TOP - 10, title, "start")
    for share in (0, 25, 50, 75, 90, 100):
        at = HEIGHT - BOTTOM - high * share / 100
        yield f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
        yield _text(LEFT - 6, at + 4, f"{share} %", "end")
    for name, at_ns in TICKS.items():
        if math.log10(at_ns / FIRST_NS) <= last:
            yield f'<path d="M{x(at_ns):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>'
            yield _text(x(at_ns), HEIGHT - BOTTOM + 18, name, "middle")
    path = f"M{LEFT} {HEIGHT - BOTTOM}" + "".join(
        f"H{x(delay):.1f}V{HEIGHT - BOTTOM - high * (number + 1) / len(delays):.1f}"
        for number, delay in enumerate(delays)
    )
    yield f'<path d="{path}" fill="none" stroke="#1b9e77" stroke-width="2"/>'
    yield "</svg>"


def _text(x: float, y: float, text: str, anchor: str) -> str:
    safe = text.replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{safe}</text>'
