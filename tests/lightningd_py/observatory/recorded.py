"""Recordings for tests: a feed without a socket, its messages, and what is in a record's tables."""

import hashlib
from collections import Counter, deque
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lightningd_py.observatory.record.recorder import Recorder, Settings
from lightningd_py.observatory.tables.reading import Record
from wire.bus import feed
from wire.bus.feed import FeedError
from wire.bus.feed_batches import Unreadable, Values, opened

T0 = 1_790_000_000_000_000_000
"""2026-09-21T14:13:20Z."""
HOUR = 3_600_000_000_000
PEER = b"\2" + bytes(32)
Frames = tuple[bytes, bytes]


def update(number: int, size: int = 138) -> bytes:
    """Bytes that are one message for each number; not signed."""
    return b"\x01\x02" + hashlib.sha256(str(number).encode()).digest() * (size // 32) + bytes(size % 32 - 2)


class Said:
    """What a gossipd of one run says: frames with growing seq."""

    def __init__(self, **named: Any) -> None:
        self._named = named
        self._seq: Counter[str] = Counter()

    def message(self, topic: str, time_ns: int, /, skip: int = 0, **fields: Any) -> Frames:
        self._seq[topic] += 1 + skip
        return topic.encode(), feed.encode(self._seq[topic], time_ns, self._named | fields)

    def arrival(
        self, raw: bytes, time_ns: int, /, peer: bytes | None = PEER, conn_id: int = 1, **fields: Any
    ) -> Frames:
        topic = {1: "gossip.node_announcement", 2: "gossip.channel_update"}.get(raw[1], "gossip.channel_announcement")
        known = {"node_id": peer, "conn_id": conn_id, "incoming": False, "outcome": "new", "reason": ""}
        return self.message(topic, time_ns, raw=raw, **(known | fields))


def heard(frames: Frames) -> tuple[str, Values]:
    """What a subscriber's `values` makes of these."""
    topic, body = frames
    try:
        return next(opened(topic, body))
    except Unreadable:
        return topic.decode("ascii", "backslashreplace"), {}


class FakeFeed:
    """Gives these frames, then ends the recorder, or itself if it `ends`."""

    def __init__(self, frames: list[Frames], *, ends: bool = False) -> None:
        self.left = deque(frames)
        self.ends = ends
        self.recorder: Recorder | None = None

    def values(self, timeout: float | None = None) -> tuple[str, Values] | None:
        if self.left:
            return heard(self.left.popleft())
        if self.ends:
            raise FeedError("the feed has ended")
        if self.recorder is not None and self.recorder._checkpoint is None:
            self.recorder.stop()
        return None

    def close(self) -> None:
        """No socket."""


def record(
    folder: Path, *feeds: FakeFeed, vantage: str = "here", store: Path | None = None, now_ns: int = T0, **how: Any
) -> list[str]:
    """A recorder's run over these feeds, one after the other, by a clock that stands; what it said."""
    said: list[str] = []
    waiting = deque(feeds)
    recorder = Recorder(
        Settings(folder, vantage, store, **how), lambda: waiting.popleft(), said.append, now_ns=lambda: now_ns
    )
    for each in feeds:
        each.recorder = recorder
    recorder.run()
    return said


def rows(folder: Path, table: str, since_ns: int | None = None, until_ns: int | None = None) -> list[dict[str, Any]]:
    """All that is recorded in a table."""
    part = Record(folder).part(table, since_ns=since_ns, until_ns=until_ns)
    found = pa.concat_tables([*(pq.read_table(path, partitioning=None) for path in part.files), part.recent])
    return list(found.to_pylist())
