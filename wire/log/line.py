"""One line of the log, as text for people or as a JSON object: every process of ours makes its lines here.

    2026-11-29T08:00:00.000Z UNUSUAL 02ab...-gossipd: what it is        with --log-prefix before all of it
    {"time": "2026-11-29T08:00:00.000Z", "level": "unusual", "source": "gossipd", "node_id": "02ab...", "log": "..."}

A message is one line, whatever stands in it, and cannot command a terminal. Only a traceback has several lines of text,
and each of them says whose it is; in JSON it is a list within its message's object.
"""

import functools
import json
import logging
import re
import time
from collections.abc import Callable
from typing import NamedTuple

from wire.command.text import replaced
from wire.log.style import LEVELS, NAMES, UNUSUAL, LogStyle

LONGEST_LINE = 4_000
"""Characters of any line, after its lead: half a screen."""
MOST_LINES = 200
"""Of a traceback: the last ones."""


def stamp(seconds: float) -> str:
    """Unix seconds as `2026-11-29T08:00:00.000Z`."""
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


@functools.lru_cache(maxsize=1)
def _second(unix: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix))


def node_id_of(record: logging.LogRecord) -> str:
    """Of the peer that the line is about, in hex; empty if it is about none."""
    return str(getattr(record, "node_id", ""))


def message_of(record: logging.LogRecord) -> str:
    """The text as it may be shown."""
    return _cut(replaced(record.getMessage()))


class LineFormatter(logging.Formatter):
    """In the style that the options ask for."""

    def __init__(self, style: LogStyle) -> None:
        super().__init__()
        self._looks = style

    def format(self, record: logging.LogRecord) -> str:
        """Without the last newline."""
        traceback = self.formatException(record.exc_info).splitlines()[-MOST_LINES:] if record.exc_info else []
        lines = [_cut(replaced(line)) for line in traceback]
        return self._as_json(record, lines) if self._looks.as_json else self._as_text(record, lines)

    def _as_text(self, record: logging.LogRecord, traceback: list[str]) -> str:
        who = f"{node_id}-{record.name}" if (node_id := node_id_of(record)) else record.name
        level = NAMES.get(record.levelno, record.levelname).upper()
        when = f"{stamp(record.created)} " if self._looks.timestamps else ""
        lead = f"{self._looks.prefix}{when}{level:7} {who}: "
        return "\n".join(lead + line for line in [message_of(record), *traceback])

    def _as_json(self, record: logging.LogRecord, traceback: list[str]) -> str:
        said: dict[str, str | list[str]] = {}
        if self._looks.prefix:
            said["prefix"] = self._looks.prefix
        if self._looks.timestamps:
            said["time"] = stamp(record.created)
        said |= {"level": NAMES.get(record.levelno, record.levelname.lower()), "source": record.name}
        if node_id := node_id_of(record):
            said["node_id"] = node_id
        said["log"] = message_of(record)
        if traceback:
            said["traceback"] = traceback
        return json.dumps(said)


class Lead(NamedTuple):
    """Of a line that a process of ours has made. `node_id` in hex, or empty."""

    level: int
    node_id: str
    source: str


_LEAD = re.compile(
    r"(?:[0-9T:.-]{23}Z )?(?P<level>IO|TRACE|DEBUG|INFO|UNUSUAL|BROKEN) +"
    r"(?:(?P<node_id>[0-9a-f]{66})-)?(?P<source>[^:]+): "
)


def read_lead(line: str, style: LogStyle) -> Lead | None:
    """What `LineFormatter` has put before the text; None if somebody else has written the line."""
    if style.as_json:
        return _lead_of_object(line)
    found = _LEAD.match(line, len(style.prefix)) if line.startswith(style.prefix) else None
    return found and Lead(LEVELS[found["level"].lower()], found["node_id"] or "", found["source"])


def _lead_of_object(line: str) -> Lead | None:
    try:
        said = json.loads(line)
        return Lead(LEVELS[said["level"]], said.get("node_id", ""), said["source"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def lost_lines(source: str, style: LogStyle) -> Callable[[int], bytes]:
    """The line of this source that says how many were lost."""
    formatter = LineFormatter(style)

    def line(count: int) -> bytes:
        text = f"{count} lines of the log were lost: its reader did not take them"
        record = logging.LogRecord(source, UNUSUAL, "", 0, text, None, None)
        return f"{formatter.format(record)}\n".encode()

    return line


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + "..."
