"""The spool as an outbox: batches as they stand in its segments, in their order, from where the server has them.

The recorder goes on writing beside it and knows nothing of it. A segment stays for a while after it was taken: a server
acknowledges before its disk has it, and what a power cut costs it can still be had here (docs/scale.md).
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from lightningd_py.observatory.jetstream.names import BatchId
from lightningd_py.observatory.record.conversion import own_segments
from lightningd_py.observatory.record.place import save_place
from lightningd_py.observatory.tables.files import replace_file
from lightningd_py.observatory.tables.names import SPOOL, SegmentName
from lightningd_py.observatory.tables.schemas import TABLES
from lightningd_py.observatory.tables.segment import END

PUBLISHED = ".published"


class Position(NamedTuple):
    """Behind a batch: of which segment (`epoch`, `first`), how many batches of it, and where in the file that is."""

    epoch: int = 0
    first: int = 0
    batches: int = 0
    offset: int = 0


class Waiting(NamedTuple):
    """A batch that is to be sent. `body`: an Arrow stream of its own. `after`: the position behind it."""

    id: BatchId
    body: bytes
    after: Position


class Outbox:
    """Of one vantage point (`vantage` as in file names), for one thread."""

    def __init__(self, folder: Path, vantage: str) -> None:
        self._folder = folder
        self._vantage = vantage
        self._file = folder / SPOOL / f"{vantage}{PUBLISHED}"
        self._sent = self._read()
        self._saved = dict(self._sent)
        self._listed: dict[str, tuple[int, list[tuple[SegmentName, Path]]]] = {}

    def _segments(self, table: str) -> list[tuple[SegmentName, Path]]:
        """Oldest first. The folder, of some thousand segments, is read again when it has changed."""
        try:
            changed = (self._folder / SPOOL / table).stat().st_mtime_ns
        except FileNotFoundError:
            return []
        known = self._listed.get(table)
        if known is not None and known[0] == changed:
            return known[1]
        paths = own_segments(self._folder, self._vantage, table)
        found = [(name, path) for path in paths if (name := SegmentName.parse(path.name)) is not None]
        self._listed[table] = changed, found
        return found

    def _ahead(self, table: str) -> list[tuple[SegmentName, Path]]:
        """Those with anything that the server may not have."""
        done = self._sent.get(table, Position())[:2]
        return [(name, path) for name, path in self._segments(table) if (name.epoch, name.first) >= done]

    def _read(self) -> dict[str, Position]:
        try:
            found = json.loads(self._file.read_text())
            return {table: Position(*map(int, found[table])) for table in TABLES if table in found}
        except (OSError, ValueError, TypeError):
            return {}

    def next(self, table: str, most: int) -> list[Waiting]:
        """The batches that wait, oldest first. Raises OSError."""
        found: list[Waiting] = []
        position = self._sent.get(table, Position())
        for name, path in self._ahead(table):
            begin = position if (name.epoch, name.first) == position[:2] else Position(name.epoch, name.first)
            try:
                for each in _batches(path, table, begin):
                    found.append(Waiting(BatchId(self._vantage, name.epoch, table, each.number), each.body, each.after))
                    if len(found) >= most:
                        return found
            except FileNotFoundError:  # the quota has taken it: the recorder says so in `losses`
                continue
        return found

    def sent(self, table: str, position: Position) -> None:
        """The server has all up to there."""
        self._sent[table] = position

    def save(self) -> None:
        """Let the next run know. Raises OSError."""
        if self._sent != self._saved:
            replace_file(self._file, json.dumps(self._sent).encode())
            self._saved = dict(self._sent)

    def waits(self) -> int:
        """Bytes of the spool that the server has not got yet."""
        size = 0
        for table in TABLES:
            position = self._sent.get(table, Position())
            for name, path in self._ahead(table):
                skipped = position.offset if (name.epoch, name.first) == position[:2] else 0
                left = max(0, _size(path) - skipped)
                size += left if left > len(END) else 0
        return size

    def remove_older(self, seconds: float) -> int:
        """Remove segments that the server has had for so long; how many. Raises OSError."""
        until = time.time() - seconds
        old = []
        for table in TABLES:
            done = self._sent.get(table, Position())[:2]
            behind = [path for name, path in self._segments(table) if (name.epoch, name.first) < done]
            old += [path for path in behind if _changed(path) < until]
        if old:
            save_place(self._folder, self._vantage)
        for path in old:
            path.unlink(missing_ok=True)
        return len(old)


class _Batch(NamedTuple):
    number: int
    body: bytes
    after: Position


def _batches(path: Path, table: str, begin: Position) -> Iterator[_Batch]:
    """The whole batches behind a position, as bytes of the file: nothing is compressed twice."""
    with pa.OSFile(str(path)) as source:
        try:
            pa.ipc.read_schema(source)
        except (pa.ArrowException, OSError):  # not even that is there yet
            return
        schema_size = source.tell()
        source.seek(0)
        head = source.read(schema_size)
        at, count = max(begin.offset, schema_size), begin.batches
        while True:
            source.seek(at)
            try:
                message = pa.ipc.read_message(source)
            except (pa.ArrowException, OSError, EOFError):
                return
            if message is None or message.type != "record batch":
                return
            end = source.tell()
            source.seek(at)
            body = source.read(end - at)
            count += 1
            at = end
            yield _Batch(begin.first + count - 1, head + body + END, Position(begin.epoch, begin.first, count, end))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
