"""Plots of what many vantage points cost, out of the figures of `make scale`, and what 200 of them would.

make scale ARGS="--figures scale.json"
python tests/tools/scale_plot.py scale.json docs/scale-rate.svg docs/scale-points.svg
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)

from lightningd_py.plots.axes import Axis, decades  # noqa: E402
from lightningd_py.plots.svg import Curve, document  # noqa: E402

PARTS = ("recorders", "archives", "server")
LEAST = 0.1
"""Seconds of processor time; what is less is drawn there."""
BUSY = 2_000
"""Arrivals a minute of a vantage point: more than two messages a second, each of ten peers."""
Scene = dict[str, Any]
FAR = ((200, 1_000_000), (200, 10_000_000))
"""Vantage points and arrivals a minute of all, to be extrapolated to."""


def by_rate(scenes: list[Scene]) -> str:
    """Cost against arrivals a minute, for as many vantage points as the largest scene has."""
    most = max(scene["points"] for scene in scenes)
    chosen = sorted((scene for scene in scenes if scene["points"] == most), key=lambda scene: scene["rate"])
    rates = [scene["rate"] for scene in chosen]
    across = decades(min(rates), max(rates), lambda value: f"{value:,.0f}", "arrivals a minute of all together")
    return _plot(
        f"{most} vantage points: seconds of processor time a minute", chosen, across, lambda each: each["rate"]
    )


def by_points(scenes: list[Scene]) -> str:
    """Cost against vantage points, for the rate that most scenes have."""
    asked = [scene["asked"] for scene in scenes]
    usual = max(asked, key=lambda rate: (asked.count(rate), -rate))
    chosen = sorted((scene for scene in scenes if scene["asked"] == usual), key=lambda scene: scene["points"])
    ticks = tuple((float(scene["points"]), f"{scene['points']}") for scene in chosen)
    across = Axis(0, max(scene["points"] for scene in chosen), ticks, name="vantage points")
    title = f"{usual:,} arrivals a minute: seconds of processor time a minute"
    return _plot(title, chosen, across, lambda each: each["points"])


def _plot(title: str, scenes: list[Scene], across: Axis, x: Callable[[Scene], float]) -> str:
    costs = [scene["parts"][part]["cpu"] for scene in scenes for part in PARTS]
    up = decades(LEAST, max(costs), lambda value: f"{value:g}")
    curves = [
        Curve([(x(scene), scene["parts"][part]["cpu"]) for scene in scenes], part, colour, start=None, straight=True)
        for colour, part in enumerate(PARTS)
    ]
    return document(title, across, up, curves)


def extrapolated(scenes: list[Scene]) -> list[str]:
    """Lines of a table: cost = base + what a point costs + what an arrival costs, fitted by least squares of what it is
    wrong by in per cent, to the scenes in which each recorder has something for each of its batches, two a second."""
    scenes = [scene for scene in scenes if scene["rate"] / scene["points"] >= BUSY]
    heads = ["part", "base", "for each vantage point", "for 1,000,000 arrivals", "wrong by at most"]
    lines = [_line(heads + [f"{points} points, {rate:,} a minute" for points, rate in FAR])]
    lines.append("|---" * (len(heads) + len(FAR)) + "|")
    for part in PARTS:
        costs = np.array([scene["parts"][part]["cpu"] for scene in scenes])
        known = np.array([[1.0, scene["points"], scene["rate"] / 1e6] for scene in scenes])
        fit, *_ = np.linalg.lstsq(known / costs[:, None], np.ones(len(costs)), rcond=None)
        wrong = np.abs(known @ fit / costs - 1).max()
        far = [f"{fit @ [1.0, points, rate / 1e6]:,.0f}" for points, rate in FAR]
        lines.append(_line([part, f"{fit[0]:.1f}", f"{fit[1]:.2f}", f"{fit[2]:.1f}", f"{wrong:.0%}", *far]))
    return lines


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """The two plots as files, the table on standard output."""
    source, rate, points = map(Path, sys.argv[1:])
    scenes = [scene for scene in json.loads(source.read_text())["scenes"] if "kills" not in scene]
    rate.write_text(by_rate(scenes))
    points.write_text(by_points(scenes))
    print("\n".join(extrapolated(scenes)))


if __name__ == "__main__":
    main()
