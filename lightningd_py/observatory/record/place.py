"""How far the recorder has come in the feed: the last `seq` of each topic, of which run of the node.

Each batch carries that of its own topics in its metadata, so a recorder that was killed knows what its predecessor had
written; a conversion leaves it in a file before the segments go. What was missed meanwhile is a row in `losses`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightningd_py.observatory.tables.files import replace_file
from lightningd_py.observatory.tables.names import SPOOL, SegmentName, segments
from lightningd_py.observatory.tables.schemas import TABLES
from lightningd_py.observatory.tables.segment import read_segment

TOPICS_OF: dict[str, tuple[str, ...]] = {"arrivals": ("gossip.", "sent."), "map": ("map.",), "peers": ("peer.",)}
"""Table -> beginnings of the topics whose messages become its rows, one each."""


class Place:
    """`epoch`: the run of the node, None if its feed does not say. `last`: topic -> seq."""

    def __init__(self, epoch: int | None = None, last: dict[str, int] | None = None) -> None:
        self.epoch = epoch
        self.last = last or {}

    def take(self, epoch: int | None, topic: str, seq: int) -> tuple[int, int]:
        """A message has come: the first seq that is missing before it, and how many are: 0 if none is known to be.

        Another run of the node counts from its beginning. Without an `epoch` that is seen by a lesser seq.
        """
        if epoch != self.epoch:
            self.epoch = epoch
            self.last.clear()
        before = self.last.get(topic)
        self.last[topic] = seq
        if before is None or seq <= before:
            return seq, 0
        return before + 1, seq - before - 1

    def encode(self, table: str) -> str:
        """JSON of what concerns a table, for its batch's metadata."""
        topics = TOPICS_OF.get(table, ())
        last = {topic: seq for topic, seq in self.last.items() if topic.startswith(topics)} if topics else {}
        return json.dumps({"epoch": self.epoch, "last": last})


def _file(folder: Path, vantage: str) -> Path:
    return folder / SPOOL / f"{vantage}.place"


def save_place(folder: Path, vantage: str) -> None:
    """Leave in a file what the segments say, before they go. Raises OSError."""
    place = known_place(folder, vantage)
    replace_file(_file(folder, vantage), json.dumps({"epoch": place.epoch, "last": place.last}).encode())


def _in_file(folder: Path, vantage: str) -> Iterator[dict[str, Any]]:
    try:
        found = json.loads(_file(folder, vantage).read_text())
    except (OSError, ValueError):
        return
    yield found


def _in_segments(folder: Path, vantage: str) -> Iterator[dict[str, Any]]:
    """The last batch of each table, in the order of the recorder's runs."""
    newest = []
    for table in TOPICS_OF:
        named = [(SegmentName.parse(path.name), path) for path in segments(folder, table)]
        own = [(name, path) for name, path in named if name is not None and name.vantage == vantage]
        for name, path in own[-1:]:
            places = [found.place for found in read_segment(path) if found.place is not None]
            newest += [(name.epoch, place) for place in places[-1:]]
    yield from (place for _, place in sorted(newest, key=lambda each: each[0]))


def known_place(folder: Path, vantage: str) -> Place:
    """Where this vantage point was when its last recorder ended; nothing is known if it never had one, or if its feed
    does not name the node's run."""
    place = Place()
    for found in (*_in_file(folder, vantage), *_in_segments(folder, vantage)):
        if not isinstance(found.get("epoch"), int):
            continue
        if found["epoch"] != place.epoch:
            place = Place(found["epoch"])
        place.last |= found["last"]
    return place


assert TOPICS_OF.keys() <= TABLES.keys()
