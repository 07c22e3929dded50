"""The plot of a probe: channels given over time, of all peers together and of each, as a small SVG."""

from typing import Any

from lightningd_py.plots.axes import Axis, counts
from lightningd_py.plots.svg import STRONG, Curve, document
from wire.control.status import sane

MOST_PEERS = 16
"""Curves of peers; those that gave most."""
SHARES = (0, 25, 50, 75, 90, 95, 99, 100)


def plot(report: dict[str, Any]) -> str:
    """A whole document."""
    total = max(1, report["map"]["channels"])
    seconds = max([at for at, _ in report["curve"]] or [report["seconds"]]) or 1.0
    y = Axis(0, total, tuple((total * share / 100, "" if share in (95, 99) else f"{share} %") for share in SHARES))
    best = sorted(report["peers"], key=lambda peer: -int(peer["first_channels"]))[:MOST_PEERS]
    curves = [Curve(report["curve"], f"all peers: {report['map']['given']} of {total} channels", STRONG, 2)]
    for number, peer in enumerate(best):
        name = f"{sane(peer['target'])[:16]}… {peer['first_channels']}"
        curves.append(Curve(peer["curve"], name, number, 1))
    return document("channels given", counts(seconds, lambda value: f"{value:.3g} s"), y, curves)
