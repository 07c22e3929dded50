"""The page over all vantage points: their arrivals, and figures of each."""

from pathlib import Path
from typing import Any

import pytest

from lightningd_py.observatory.jetstream.connecting import Access
from lightningd_py.observatory.live.follower import PointFollower
from lightningd_py.observatory.web import sources
from lightningd_py.observatory.web.all_points import TABLES, AllPoints
from lightningd_py.observatory.web.arrivals import Arrivals
from lightningd_py.observatory.web.sources import SHOWN_VANTAGES, Sources
from tests.gossipd.messages import update
from tests.harness.jetstream import NatsServer, Talk, make_streams, recording
from tests.harness.observatories import until
from tests.lightningd_py.observatory.live.made import T0, arrivals
from tests.lightningd_py.observatory.page import Still


def test_arrivals_of_all(tmp_path: Path) -> None:
    """Also when the server comes later."""
    talks = [Talk(tmp_path / name, 100) for name in ("east", "west")]
    page = Arrivals()
    with NatsServer(tmp_path) as server:
        make_streams(server)
        server.kill()
        points = PointFollower(Access(server.url), "regtest", tables=TABLES)
        follower = AllPoints(points, page)
        asked = Sources(page, positions=Still(), points=points)
        assert asked.about() == {"map": False, "node": False, "record": False, "vantages": True}
        follower.start()
        try:
            until(lambda: server.url in page.news(None)["feed"], "the sentence")
            server.start()
            until(lambda: page.news(None)["feed"] == "", "the server")
            with recording(tmp_path / "a", talks[0], server), recording(tmp_path / "b", talks[1], server):
                until(lambda: len(asked.vantages()) == 2 and page.news(None)["number"] > 100, "both")
            found: dict[str, Any] = {each["name"]: each for each in asked.vantages()}
            assert found.keys() == {"east", "west"} and found["east"]["outcomes"]["new"] > 0
            assert found["west"]["peers"] == 1 and found["west"]["state"] == ""
            assert page.news(None)["arrivals"][0]["kind"] == "channel_update"
        finally:
            follower.close()
            for talk in talks:
                talk.end()


def test_vantage_points_that_are_shown_are_bounded() -> None:
    points = PointFollower(Access("nats://127.0.0.1:1"), "regtest")
    for number in range(SHOWN_VANTAGES + 5):
        points.figures.take(arrivals(f"v{number}\x1b", *map(update, range(1, 2 + number % 2))))
    shown = Sources(Arrivals(), positions=Still(), points=points).vantages()
    assert len(shown) == SHOWN_VANTAGES and shown[0]["arrivals"] == 2
    assert not any("\x1b" in each["name"] for each in shown)
    assert Sources(Arrivals(), positions=Still()).vantages() == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_mistake_of_ours_is_told_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken() -> None:
        raise ZeroDivisionError("by nothing")

    page = Arrivals()
    follower = AllPoints(PointFollower(Access("nats://127.0.0.1:1"), "regtest"), page)
    monkeypatch.setattr(follower._feed, "turn", mistaken)
    follower.start()
    until(lambda: "by a mistake of ours (ZeroDivisionError" in page.news(None)["feed"], "the sentence")
    follower.close()


def test_vantage_points_are_worked_out_once_for_all_that_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a second."""
    monkeypatch.setattr(sources, "VANTAGES_FRESH", 3600.0)
    points = PointFollower(Access("nats://127.0.0.1:1"), "regtest")
    points.figures.take(arrivals("east", update(1)))
    made = Sources(Arrivals(), positions=Still(), points=points)
    first = made.vantages()
    points.figures.take(arrivals("west", update(1)))
    assert len(first) == 1 and made.vantages() is first
    monkeypatch.setattr(sources, "VANTAGES_FRESH", 0.0)
    made = Sources(Arrivals(), positions=Still(), points=points)
    made.vantages()
    points.figures.take(arrivals("north", update(1)))
    assert len(made.vantages()) == 3


def test_clock_that_is_ahead_stops_nothing() -> None:
    """All others' arrivals would be counted in its second."""
    page, now_ns = Arrivals(), [T0]
    made = AllPoints(PointFollower(Access("nats://127.0.0.1:1"), "regtest"), page, lambda: now_ns[0])
    for found in (arrivals("fast", update(1), at=T0 + 3_600_000_000_000), arrivals("east", update(1), at=T0)):
        made._feed._tell([found])
    now_ns[0] += 2_000_000_000
    made._feed._tell([arrivals("east", update(2), at=now_ns[0])])
    second = T0 // 1_000_000_000
    assert page.news(None)["seconds"] == [[second, {"new": 2}], [second + 2, {"new": 1}]]
