"""The last lines of all processes: bounds, shares, and CLN's fields."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.news.log_ring import SHARE, LogRing
from lightningd_py.news.topics import LOG, Topics
from wire.control.control_wire import DAEMONS, LogLine
from wire.log.forward import Line
from wire.log.style import BROKEN, DEBUG, INFO, IO, UNUSUAL


def line(text: str, level: int = INFO, created: float = 1.0, left_out: int = 0) -> LogLine:
    return LogLine(created, level, "gossipd", "", text, left_out)


def texts(ring: LogRing, level: str = "io") -> list[str]:
    return [entry["log"] for entry in ring.content(level)["log"] if entry["type"] != "SKIPPED"]


def test_a_flood_pushes_out_its_own_lines_only() -> None:
    ring = LogRing(Topics(), 0.0)
    ring.own(Line(0.5, INFO, "lightningd", "", "of the master"))
    ring.heard("connectd", line("of connectd"))
    ring.heard("gossipd", line("what matters", UNUSUAL))
    for number in range(10_000):
        ring.heard("gossipd", line(f"{number} {'x' * 900}", DEBUG, 2.0))
    content = ring.content("io")
    assert texts(ring)[:3] == ["of the master", "of connectd", "what matters"]
    assert texts(ring)[-1].startswith("9999 ")
    assert content["bytes_used"] < 2 * SHARE
    assert content["log"][0] == {"type": "SKIPPED", "num_skipped": 10_003 - (len(content["log"]) - 1)}


@given(st.lists(st.tuples(st.sampled_from(DAEMONS), st.sampled_from([IO, INFO, BROKEN]), st.integers(0, 1_000))))
def test_the_bound_holds(lines: list[tuple[str, int, int]]) -> None:
    ring = LogRing(Topics(), 0.0)
    for daemon, level, size in lines * 50:
        ring.heard(daemon, line("x" * size, level))
    content = ring.content("io")
    assert content["bytes_used"] <= content["bytes_max"]
    shown = [entry for entry in content["log"] if entry["type"] != "SKIPPED"]
    skipped = sum(entry["num_skipped"] for entry in content["log"] if entry["type"] == "SKIPPED")
    assert len(shown) + skipped == len(lines) * 50


def test_levels_times_and_what_was_left_out() -> None:
    ring = LogRing(Topics(), 10.0)
    ring.heard("gossipd", line("late", BROKEN, 12.5, left_out=7))
    ring.heard("gossipd", line("soon", INFO, 11.0))
    ring.own(Line(9.0, UNUSUAL, "lightningd", "02ab", "early"))
    content = ring.content("unusual")
    assert content["created_at"] == "10.000000000"
    assert content["log"] == [
        {"type": "SKIPPED", "num_skipped": 8},
        {"type": "UNUSUAL", "time": "0.000000000", "source": "lightningd", "log": "early", "node_id": "02ab"},
        {"type": "BROKEN", "time": "2.500000000", "source": "gossipd", "log": "late"},
    ]


def test_who_wants_the_log_hears_each_line() -> None:
    topics = Topics()
    ring = LogRing(topics, 0.0)
    heard: list[dict[str, Any]] = []
    topics.take(lambda topic, event: heard.append(event), frozenset({LOG}))
    ring.heard("gossipd", line("x", DEBUG, 0.25))
    assert heard == [
        {
            "level": "debug",
            "time": "0.250000000",
            "timestamp": "1970-01-01T00:00:00.250Z",
            "source": "gossipd",
            "log": "x",
        }
    ]


@given(
    st.builds(
        LogLine, st.floats(), st.integers(-(2**63), 2**63), st.text(max_size=99), st.text(), st.text(), st.integers()
    )
)
def test_a_daemon_that_was_taken_over_says_what_it_likes(message: LogLine) -> None:
    topics = Topics()
    ring = LogRing(topics, 1.0)
    topics.take(lambda topic, event: None, frozenset({LOG}))
    ring.heard("gossipd", message)
    assert len(json.dumps(ring.content("io"))) < 20_000
