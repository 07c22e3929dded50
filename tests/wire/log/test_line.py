"""A line of the log as text and as JSON."""

import json
import logging
import sys
from typing import Any

import pytest

from wire.log.line import Lead, LineFormatter, lost_lines, read_lead, stamp
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


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("timestamps", [False, True])
@pytest.mark.parametrize("prefix", ["", "INFO    gossipd: "])
@pytest.mark.parametrize("node_id", ["", NODE])
def test_the_lead_of_a_line_is_read(as_json: bool, timestamps: bool, prefix: str, node_id: str) -> None:
    style = LogStyle(prefix=prefix, timestamps=timestamps, as_json=as_json)
    line = LineFormatter(style).format(record("BROKEN  x: y", node_id=node_id))
    assert read_lead(line, style) == Lead(UNUSUAL, node_id, "gossipd")


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "line", ["", "what a program prints", "INFO", "LOUD x: y", "[]", '{"level": 7}', "[" * 100_000]
)
def test_a_line_that_is_not_ours(line: str, as_json: bool) -> None:
    assert read_lead(line, LogStyle(as_json=as_json)) is None


def test_stamp() -> None:
    assert stamp(0.9999) == "1970-01-01T00:00:00.999Z"
