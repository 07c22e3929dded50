"""Figures of vantage points, bounded, and the screen of them."""

import pytest

from lightningd_py.observatory.jetstream.points import AHEAD_NS, BEHIND_NS, SILENT
from lightningd_py.observatory.live import points
from lightningd_py.observatory.live.batches import Batch
from lightningd_py.observatory.live.points import MOST, RATE_OVER, PointFigures
from lightningd_py.observatory.live.screen import draw, ordered
from lightningd_py.observatory.tables.schemas import batch
from tests.gossipd.messages import update
from tests.lightningd_py.observatory.live.made import T0, arrivals


def test_figures_and_states() -> None:
    now, now_ns = [100.0], [T0]
    made = PointFigures(lambda: now[0], lambda: now_ns[0])
    made.take(arrivals("east", *map(update, range(1, 31)), lost=2))
    made.take(arrivals("east", update(1), outcome="redundant", peer=bytes([3]) * 33))
    losses = batch("losses", [(T0, "east", 7, "gossip.channel_update", 1, 5, "gap")])
    made.take(Batch("losses", "east", losses, 0))
    (row,) = made.rows()
    assert (row.name, row.arrivals, row.rate, row.peers, row.lost, row.state) == ("east", 31, 3.1, 2, 7, "")
    assert row.outcomes == {"new": 30, "redundant": 1}
    states = {}
    for name, ahead in (("behind", BEHIND_NS + 100), ("ahead", -AHEAD_NS - 1)):
        now_ns[0] = T0 + ahead
        states[name] = made.rows()[0].state
    now[0] += SILENT + 1
    states["silent"] = made.rows()[0].state
    assert all(name == state for name, state in states.items())
    assert made.rows()[0].rate == 0 and RATE_OVER < SILENT


def test_names_and_peers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "MOST", 3)
    monkeypatch.setattr(points, "MOST_PEERS", 2)
    made = PointFigures()
    for number in range(5):
        made.take(arrivals(f"v{number}", update(1)))
        made.take(arrivals("v0", update(1), peer=bytes([number]) * 33))
    assert [row.name for row in made.rows()] == ["v0", "v1", "v2"] and MOST > 3
    assert made.rows()[0].peers == 2


def test_outcomes_are_those_of_a_node() -> None:
    made = PointFigures()
    for outcome in ("new", None, *(f"mine {number}" for number in range(50))):
        made.take(arrivals("east", update(1), outcome=outcome))
    assert made.rows()[0].outcomes == {"new": 1, "-": 1, "other": 50}


def test_screen_fits_and_is_sorted() -> None:
    made = PointFigures(now_ns=lambda: T0)
    made.take(arrivals("east", update(1)))
    made.take(arrivals("we\x1bst", update(1), update(2)))
    rows = ordered(made.rows(), "arrivals", reverse=False)
    assert [row.name for row in rows] == ["we\x1bst", "east"]
    assert [row.name for row in ordered(made.rows(), "vantage", reverse=True)] == ["we\x1bst", "east"]
    for width, height in ((120, 10), (30, 4), (1, 1)):
        lines = draw(rows, "nats://here", "NATS is away", 0.0, width, height)
        assert len(lines) == height and all(line.cell_len <= width for line in lines)
    text = "\n".join(line.plain for line in draw(rows, "nats://here", "", 0.0, 120, 10))
    assert "2 vantage points" in text and "east" in text and "\x1b" not in text
