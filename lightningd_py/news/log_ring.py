"""The last lines of the log of all processes: what `getlog` shows, and the notifications of the log.

Each daemon, and the master, has a share for what is UNUSUAL or BROKEN and one for all else: so a flood of lines pushes
out lines of its own kind only. Daemons tell their lines by `log_line`; what has died of itself stays here.
"""

import time
from collections import deque
from dataclasses import field
from typing import Any

from lightningd_py.news.topics import LOG, Topics
from wire.control.control_wire import DAEMONS, LogLine
from wire.control.status import sane
from wire.log.forward import LONGEST, Line
from wire.log.line import stamp
from wire.log.style import LEVELS, NAMES, UNUSUAL
from wire.start.late_dataclass import dataclass

SHARE = 64 << 10
"""Bytes of lines of one process and kind."""
OVERHEAD = 200
"""Bytes that a line takes besides its text."""
LONG = 10 * 365 * 86_400.0
"""Seconds: a line that claims to be so much older or younger than the log has the time of its beginning."""
LONGEST_SOURCE, LONGEST_NODE_ID = 64, 66
MASTER = "lightningd"
_KINDS = 2


@dataclass(slots=True)
class _Share:
    lines: deque[Line] = field(default_factory=deque)
    size: int = 0
    skipped: int = 0
    """Lines that are no longer here, or were left out on their way."""


class LogRing:
    """The lines that `log-level` admits. Time is an argument: unix seconds."""

    def __init__(self, topics: Topics, now: float) -> None:
        """`now`: when logging began."""
        self._topics = topics
        self._created = now
        self._shares: dict[tuple[str, bool], _Share] = {}

    def own(self, line: Line) -> bool:
        """A line of the master's; for `forward_log`."""
        self._add(MASTER, line)
        return True

    def heard(self, daemon: str, message: LogLine) -> None:
        """A line that a daemon has told: whatever that says, it fits."""
        created = message.created if self._created - LONG <= message.created <= self._created + LONG else self._created
        text, node_id = sane(message.text[:LONGEST]), message.node_id[:LONGEST_NODE_ID]
        left_out = max(0, message.left_out)
        self._add(daemon, Line(created, message.level, message.source[:LONGEST_SOURCE], node_id, text, left_out))

    def _add(self, process: str, line: Line) -> None:
        share = self._shares.setdefault((process, line.level >= UNUSUAL), _Share())
        share.lines.append(line)
        share.size += _size(line)
        share.skipped += line.left_out
        while share.size > SHARE:
            share.size -= _size(share.lines.popleft())
            share.skipped += 1
        self._topics.say(LOG, lambda: _event(line))

    def content(self, level: str) -> dict[str, Any]:
        """CLN's fields of `getlog`; the lines of this level and above, in the order of their times."""
        lines = [line for share in self._shares.values() for line in share.lines]
        shown = sorted((line for line in lines if line.level >= LEVELS[level]), key=lambda line: line.created)
        skipped = len(lines) - len(shown) + sum(share.skipped for share in self._shares.values())
        entries = [{"type": "SKIPPED", "num_skipped": skipped}] if skipped else []
        return {
            "created_at": f"{self._created:.9f}",
            "bytes_used": sum(share.size for share in self._shares.values()),
            "bytes_max": (len(DAEMONS) + 1) * _KINDS * SHARE,
            "log": [*entries, *(self._entry(line) for line in shown)],
        }

    def _entry(self, line: Line) -> dict[str, Any]:
        name = NAMES.get(line.level, "unusual")
        entry = {
            "type": "IO_IN" if name == "io" else name.upper(),
            "time": f"{max(0.0, line.created - self._created):.9f}",
            "source": line.source,
            "log": line.text,
        }
        return entry | ({"node_id": line.node_id} if line.node_id else {})


def _size(line: Line) -> int:
    return len(line.text) + OVERHEAD


def _event(line: Line) -> dict[str, Any]:
    """CLN's fields of the notification `log`, and the peer that it is about."""
    event = {
        "level": NAMES.get(line.level, "unusual"),
        "time": f"{line.created:.9f}",
        "timestamp": stamp(line.created),
        "source": line.source,
        "log": line.text,
    }
    return event | ({"node_id": line.node_id} if line.node_id else {})


def begin_ring(topics: Topics) -> LogRing:
    """One that begins now."""
    return LogRing(topics, time.time())
