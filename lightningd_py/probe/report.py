"""What a probe has found: as JSON, and as text."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from lightningd_py.probe.survey import SHARES, Given, Survey, Worth
from lightningd_py.terminal.units import duration, number
from wire.control.status import sane

MOST_POINTS = 200
"""Of a curve."""


def as_json(survey: Survey, network: str, seconds: float, ours: frozenset[int] | None) -> dict[str, Any]:
    """Times in seconds, null for what never happened. `ours`: the channels of our own map, if there is one."""
    found = survey.map()
    report: dict[str, Any] = {
        "network": network,
        "seconds": round(seconds, 3),
        "map": {
            "channels": len(found),
            "given": len(survey.channels),
            "never_given": len(found - survey.channels.keys()),
        },
        "time_to": {str(share): _rounded(survey.time_to(share)) for share in SHARES},
        "peers": [_peer(survey, given, ours) for given in survey.peers],
        "curve": curve([at for at, _ in survey.arrivals]),
    }
    if ours is not None:
        report["map"] |= {"yours": len(ours), "you_lack": len(survey.channels.keys() - ours)}
        report["map"]["only_yours"] = len(ours - found)
    return report


def curve(times: Sequence[float]) -> list[list[float]]:
    """[seconds, so many until then], thinned out."""
    step = max(1, -(-len(times) // MOST_POINTS))
    picked = sorted({*range(step - 1, len(times), step), len(times) - 1} - {-1})
    return [[round(times[i], 3), i + 1] for i in picked]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _peer(survey: Survey, given: Given, ours: frozenset[int] | None) -> dict[str, Any]:
    at = survey.peers.index(given)
    fields: dict[str, Any] = {
        "target": given.target,
        "connect_s": _rounded(given.connected),
        "ping_s": _rounded(given.ping),
        "list_s": _rounded(given.listed_after),
        "listed": len(given.listed),
        "asked": given.asked,
        "refused": len(given.refused - survey.channels.keys()),
        "answer_s": _rounded(statistics.median(given.answers) if given.answers else None),
        "unanswered": given.unanswered,
        **{worth.value.replace(" ", "_"): given.count(worth) for worth in Worth},
        "first_channels": given.count(Worth.FIRST, "channels"),
        "curve": curve([when for when, peer in survey.arrivals if peer == at]),
    }
    if ours is not None:
        fields["listed_that_you_lack"] = len(given.listed - ours)
    if given.overflow:
        fields["warning"] = "it lists more channels than there can be"
    return fields | ({"error": given.error} if given.error else {})


HEAD = (
    "PEER",
    "CONNECT",
    "PING",
    "LIST",
    "LISTED",
    "ASKED",
    "FIRST",
    "REDUNDANT",
    "WRONG",
    "REFUSED",
    "ANSWER",
    "ERROR",
)


def rows(report: dict[str, Any]) -> list[list[str]]:
    """The table's cells, below HEAD."""
    return [
        [
            sane(peer["target"]),
            *(_seconds(peer[name]) for name in ("connect_s", "ping_s", "list_s")),
            *(number(peer[name]) for name in ("listed", "asked", "first", "redundant", "wrong", "refused")),
            _seconds(peer["answer_s"]),
            sane(peer.get("error", peer.get("warning", ""))) or "-",
        ]
        for peer in report["peers"]
    ]


def sentences(report: dict[str, Any]) -> Iterable[str]:
    """What it comes to."""
    known = report["map"]
    yield (
        f"The map has {number(known['channels'])} channels: {number(known['given'])} were given"
        f" and {number(known['never_given'])} are listed by two peers and were given by none."
        if known["never_given"]
        else f"The map has {number(known['channels'])} channels, and all were given."
    )
    yield "  ".join(f"{share} % after {_seconds(seconds)}" for share, seconds in report["time_to"].items())
    if "yours" in known:
        yield (
            f"Yours has {number(known['yours'])}: it lacks {number(known['you_lack'])} of those that were given;"
            f" {number(known['only_yours'])} of yours no peer knows."
        )


def _seconds(value: float | None) -> str:
    return "-" if value is None else duration(value)
