"""Segments made into hour files, so that a kill at any moment leaves each row there once.

    1. the manifest N.conversion names the segments, and is on the disk     the segments are the truth
    2. each hour file N is written as .part, is on the disk, is renamed      the segments are the truth
    3. the manifest is renamed to N.converted                                the hour files are
    4. the segments are removed, then the manifest                           the hour files are

What was interrupted before 3 is done again from its beginning, with the same segments under the same names; after 3 it
is only ended. Readers go by the manifest (tables/reading.py).
"""

import contextlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lightningd_py.observatory.record.place import save_place
from lightningd_py.observatory.tables.files import make_folder, replace_file, sync_file, sync_folder
from lightningd_py.observatory.tables.names import (
    COMMITTED,
    HOUR_FILE,
    MANIFEST,
    SPOOL,
    SegmentName,
    hour_files,
    hour_folder,
    number_of,
    segments,
)
from lightningd_py.observatory.tables.schemas import HOUR_NS, ROW_GROUP, TABLES, parquet_writer
from lightningd_py.observatory.tables.segment import read_segment

PART = ".part"
MOST_HOURS = 8
"""Hour files of one table that are written at a time. A clock that jumps makes rows of many hours; the rest waits for
the same segments' next reading."""

Chosen = dict[str, list[str]]
"""Table -> names of segments."""
Between = Callable[[str], None]
"""Called at each step with its name, for tests."""
Leave = Callable[[Path, str, Chosen], None]
"""Keeps what the segments of a vantage point say besides their rows, before these of them go. Raises OSError."""


def leave_place(folder: Path, vantage: str, chosen: Chosen) -> None:
    """For a recorder, see place.py."""
    save_place(folder, vantage)


def own_segments(folder: Path, vantage: str, table: str) -> list[Path]:
    """Those of a vantage point, oldest first."""
    found = []
    for path in segments(folder, table):
        name = SegmentName.parse(path.name)
        if name is not None and name.vantage == vantage:
            found.append(path)
    return found


def closed_segments(folder: Path, vantage: str, being_written: Iterable[Path]) -> Chosen:
    """All of a vantage point but these."""
    kept = set(being_written)
    return {table: [path.name for path in own_segments(folder, vantage, table) if path not in kept] for table in TABLES}


def last_number(folder: Path, vantage: str) -> int:
    """The highest N that this vantage point has used; 0 if none."""
    names = [path.name for path in (folder / SPOOL).glob("*.conver*")]
    names += [path.name for table in TABLES for path in hour_files(folder, table)]
    numbered = filter(None, map(number_of, names))
    return max((number for name, number in numbered if name == vantage), default=0)


class Conversion:
    """Conversions of one vantage point; one at a time, and one process only (the recorder's lock)."""

    def __init__(
        self, folder: Path, vantage: str, between: Between = lambda step: None, leave: Leave = leave_place
    ) -> None:
        """Looks for the highest N."""
        self._folder = folder
        self._vantage = vantage
        self._number = last_number(folder, vantage)
        self._between = between
        self._leave = leave

    def finish_interrupted(self) -> int:
        """Do what another run has begun; how many conversions that was. Raises OSError."""
        found = sorted((self._folder / SPOOL).glob("*.conver*"), key=lambda path: number_of(path.name) or ("", 0))
        own = [path for path in found if (number_of(path.name) or ("",))[0] == self._vantage]
        for manifest in own:
            if manifest.suffix == MANIFEST:
                self._write(manifest)
            else:
                self._remove(manifest)
        return len(own)

    def convert(self, chosen: Chosen) -> int:
        """Make hour files of these segments; how many that were. Raises OSError, e.g. if the disk is full: it can be
        tried again.
        """
        self.finish_interrupted()
        left = {table: [name for name in chosen[table] if self._path(table, name).exists()] for table in chosen}
        if not any(left.values()):
            return 0
        self._number += 1
        manifest = self._folder / SPOOL / f"{self._vantage}-{self._number}{MANIFEST}"
        replace_file(manifest, json.dumps({"segments": left}).encode())
        self._between("manifest")
        self._write(manifest)
        return sum(map(len, left.values()))

    def _path(self, table: str, name: str) -> Path:
        return self._folder / SPOOL / table / name

    def _write(self, manifest: Path) -> None:
        chosen: dict[str, list[str]] = json.loads(manifest.read_text())["segments"]
        for table, names in chosen.items():
            paths = [self._path(table, name) for name in names]
            _write_hours(self._folder, table, paths, manifest.stem, self._between)
        self._leave(self._folder, self._vantage, chosen)
        self._between("hours")
        committed = manifest.with_suffix(COMMITTED)
        manifest.rename(committed)
        sync_folder(committed.parent)
        self._between("committed")
        self._remove(committed)

    def _remove(self, committed: Path) -> None:
        chosen: dict[str, list[str]] = json.loads(committed.read_text())["segments"]
        for table, names in chosen.items():
            for name in names:
                self._path(table, name).unlink(missing_ok=True)
                self._between("removed")
            if names:
                sync_folder(self._folder / SPOOL / table)
        committed.unlink()
        sync_folder(committed.parent)
        self._between("done")


def _write_hours(folder: Path, table: str, paths: list[Path], stem: str, between: Between) -> None:
    """The rows of these segments, each in the file of its hour. As many passes as it takes."""
    done: set[int] = set()
    while True:
        hours = _Hours(folder, table, stem, done)
        try:
            for path in paths:
                for found in read_segment(path):
                    hours.add(found.batch)
            written = hours.finish()
        except BaseException:
            hours.give_up()
            raise
        between("table")
        done |= written
        if not hours.left_over:
            return


class _Hours:
    """Files of some hours, written side by side. Memory: a row group for each."""

    def __init__(self, folder: Path, table: str, stem: str, done: set[int]) -> None:
        self._folder, self._table, self._stem, self._done = folder, table, stem, done
        self._time = TABLES[table].time
        self._writers: dict[int, pq.ParquetWriter] = {}
        self._waiting: dict[int, list[pa.RecordBatch]] = {}
        self._rows: dict[int, int] = {}
        self.left_over = False

    def _path(self, hour: int) -> Path:
        return hour_folder(self._folder, self._table, hour) / f"{self._stem}{HOUR_FILE}"

    def add(self, batch: pa.RecordBatch) -> None:
        hours = pc.divide(batch.column(self._time), HOUR_NS)
        ends = pc.min_max(hours).as_py()
        if ends["min"] == ends["max"]:
            self._add(ends["min"], batch)
            return
        for hour in pc.unique(hours).to_pylist():
            self._add(hour, batch.filter(pc.equal(hours, hour)))

    def _add(self, hour: int, batch: pa.RecordBatch) -> None:
        if hour in self._done:
            return
        if hour not in self._waiting and len(self._waiting) >= MOST_HOURS:
            self.left_over = True
            return
        self._waiting.setdefault(hour, []).append(batch)
        self._rows[hour] = self._rows.get(hour, 0) + batch.num_rows
        if self._rows[hour] >= ROW_GROUP:
            self._flush(hour)

    def _flush(self, hour: int) -> None:
        if hour not in self._writers:
            path = self._path(hour)
            make_folder(path.parent)
            self._writers[hour] = parquet_writer(self._table, str(path) + PART)
        schema = TABLES[self._table].schema
        self._writers[hour].write_table(pa.Table.from_batches(self._waiting[hour], schema), row_group_size=ROW_GROUP)
        self._waiting[hour], self._rows[hour] = [], 0

    def finish(self) -> set[int]:
        """Put all of them in their places; the hours that are done."""
        for hour in self._waiting:
            if self._rows[hour]:
                self._flush(hour)
            self._writers.pop(hour).close()
            path = self._path(hour)
            part = path.with_name(path.name + PART)
            sync_file(part)
            part.rename(path)
            sync_folder(path.parent)
        return set(self._waiting)

    def give_up(self) -> None:
        for hour in self._waiting:
            writer: Any = self._writers.pop(hour, None)
            if writer is not None:
                with contextlib.suppress(OSError, pa.ArrowException):
                    writer.close()
            path = self._path(hour)
            path.with_name(path.name + PART).unlink(missing_ok=True)
