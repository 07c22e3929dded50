"""Files of others made part of a record, by the recorder's own way: spool, then hour files.

A gossip_store or GSP is a map as of a time: a checkpoint, from which `as-of` goes on. gossip_observer's tables are
arrivals, with each collector as a vantage point.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from lightningd_py.observatory.exchange.gossip_observer import Keys, files_of
from lightningd_py.observatory.exchange.stores import store_of_messages
from lightningd_py.observatory.record.checkpoint import BEFORE_NS, Checkpoint, StoreError
from lightningd_py.observatory.record.conversion import Conversion, closed_segments
from lightningd_py.observatory.record.lock import Lock
from lightningd_py.observatory.record.spool import DiskError, Spool
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.names import file_name
from lightningd_py.observatory.tables.schemas import batch

ROWS = 10_000
Progress = Callable[[int], None]
"""Gets how many rows more are done."""


class Importing:
    """Rows into a record; usable as `with`, whose end makes hour files of them. One at a time for a vantage point."""

    def __init__(self, folder: Path, vantage: str, progress: Progress = lambda rows: None) -> None:
        """`vantage` is in the files' names. Raises ObservatoryError if a recorder has it."""
        self._lock = Lock(folder, vantage)
        self._folder, self._name = folder, file_name(vantage)
        self._spool = Spool(folder, self._name, time.time_ns())
        self._progress = progress
        self._waiting: dict[str, list[tuple[Any, ...]]] = {}
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._spool.close()
            if kind is not None:
                self._spool.remove()
            self._lock.close()

    def add(self, table: str, row: tuple[Any, ...]) -> None:
        """Raises ObservatoryError if the disk is full."""
        rows = self._waiting.setdefault(table, [])
        rows.append(row)
        if len(rows) >= ROWS:
            self._write(table)

    def _write(self, table: str) -> None:
        rows = self._waiting.pop(table)
        try:
            self._spool.write(table, batch(table, rows), "{}")
        except DiskError as error:
            raise ObservatoryError(f"{self._folder} cannot be written to: {error}") from error
        self.rows += len(rows)
        self._progress(len(rows))

    def _finish(self) -> None:
        for table in list(self._waiting):
            self._write(table)
        self._spool.close()
        Conversion(self._folder, self._name).convert(closed_segments(self._folder, self._name, ()))


def import_store(into: Importing, store: Path, vantage: str, at_ns: int) -> None:
    """The map in a gossip_store, ours or CLN's, as what it was at that time. Raises ObservatoryError, OSError."""
    try:
        for table, row in Checkpoint(store, vantage, at_ns + BEFORE_NS):
            into.add(table, row)
    except StoreError as error:
        raise ObservatoryError(str(error)) from error


def import_messages(into: Importing, messages: Iterable[bytes], vantage: str, at_ns: int) -> int:
    """The newest of these messages as the map of that time; how many were of no use."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "gossip_store"
        left_out = store_of_messages(store, messages)
        import_store(into, store, vantage, at_ns)
    return left_out


def import_gossip_observer(into: Importing, folder: Path, vantage: str) -> None:
    """Their arrivals and messages. Raises ObservatoryError for a file that is none of theirs, or is damaged."""
    keys = Keys()
    for found in _batches(files_of(folder, "messages"), ["hash", "raw", "first_seen"]):
        columns = [found.column("hash"), found.column("first_seen").cast(pa.timestamp("us")).cast(pa.int64())]
        texts = found.column("raw").to_pylist()
        for key, first_us, text in zip(*(column.to_pylist() for column in columns), texts, strict=True):
            row = keys.take(key, first_us * 1000, text, vantage)
            if row is not None:
                into.add("messages", row)
    for found in _batches(files_of(folder, "timings"), ["net_timestamp", "hash", "collector", "peer", "dir"]):
        for row in keys.arrivals(found):
            into.add("arrivals", row)


def _batches(files: list[Path], columns: list[str]) -> Iterator[pa.RecordBatch]:
    for path in files:
        try:
            with contextlib.closing(pq.ParquetFile(path)) as file:
                yield from file.iter_batches(columns=columns, batch_size=ROWS)
        except (OSError, pa.ArrowException) as error:
            raise ObservatoryError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
