"""A line of the log as text and as JSON."""

import json
import logging
import sys
from typing import Any

import pytest

from wire.log.line import LineFormatter, lost_lines, stamp
from wire.log.style import UNUSUAL, LogStyle

NODE = "02" * 33


def record(text: str, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("gossipd", UNUSUAL, "", 0, text, None, more.pop("exc_info", None))
    made.created = 1_795_958_455.25
    for name, value in more.items():
        setattr(made, name, value)
    return made


def failure() -> Any:
    try:
        raise ValueError("no\x07")
    except ValueError:
        return sys.exc_info()


@pytest.mark.parametrize(
    ("style", "line"),
    [
        (LogStyle(), "2026-11-29T13:20:55.250Z UNUSUAL gossipd: a?b"),
        (LogStyle(timestamps=False), "UNUSUAL gossipd: a?b"),
        (LogStyle(prefix="A: "), "A: 2026-11-29T13:20:55.250Z UNUSUAL gossipd: a?b"),
        (LogStyle(prefix="A: ", timestamps=False), "A: UNUSUAL gossipd: a?b"),
    ],
)
def test_as_text(style: LogStyle, line: str) -> None:
    assert LineFormatter(style).format(record("a\nb")) == line


def test_of_a_peer() -> None:
    assert LineFormatter(LogStyle(timestamps=False)).format(record("x", node_id=NODE)) == f"UNUSUAL {NODE}-gossipd: x"


def test_as_json() -> None:
    said = json.loads(LineFormatter(LogStyle(prefix="A: ", as_json=True)).format(record('a\n"b', node_id=NODE)))
    assert said == {
        "prefix": "A: ",
        "time": "2026-11-29T13:20:55.250Z",
        "level": "unusual",
        "source": "gossipd",
        "node_id": NODE,
        "log": 'a?"b',
    }
    bare = json.loads(LineFormatter(LogStyle(timestamps=False, as_json=True)).format(record("x")))
    assert bare == {"level": "unusual", "source": "gossipd", "log": "x"}


def test_a_traceback_is_in_its_message_s_object_or_in_lines_of_its_own() -> None:
    line = LineFormatter(LogStyle(as_json=True)).format(record("x", exc_info=failure()))
    assert "\n" not in line
    assert json.loads(line)["traceback"][-1] == "ValueError: no?"
    lines = LineFormatter(LogStyle(timestamps=False)).format(record("x", exc_info=failure())).split("\n")
    assert all(each.startswith("UNUSUAL gossipd: ") for each in lines)
    assert lines[-1] == "UNUSUAL gossipd: ValueError: no?"


def test_lost_lines_are_told_in_the_same_form() -> None:
    said = json.loads(lost_lines("log writer", LogStyle(as_json=True))(7))
    assert (said["source"], said["level"]) == ("log writer", "unusual")
    assert said["log"].startswith("7 lines of the log were lost")


def test_stamp() -> None:
    assert stamp(0.9999) == "1970-01-01T00:00:00.999Z"
