"""The spool: batches of rows appended to segments, one after the other, so that a kill costs the last batch at most.

A batch is in the file whole or is taken back: a disk that is full, or fails, is heard of as `DiskError`, and what was
whole before stays.
"""

import contextlib
import os
from pathlib import Path

import pyarrow as pa

from lightningd_py.observatory.tables.files import make_folder, sync_folder
from lightningd_py.observatory.tables.names import SEGMENT, SPOOL, SegmentName
from lightningd_py.observatory.tables.schemas import TABLES
from lightningd_py.observatory.tables.segment import PLACE

LARGEST_SEGMENT = 16 << 20
_OPTIONS = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1))


class DiskError(Exception):
    """A batch could not be written, and is not in the file; the text is the system's."""


class _Taken:
    """A file to Arrow: keeps the bytes that it is given."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        self.parts.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""

    def take(self) -> bytes:
        taken, self.parts = b"".join(self.parts), []
        return taken


class Segment:
    """A segment that is being written."""

    def __init__(self, path: Path, table: str) -> None:
        """Raises OSError."""
        self.path = path
        self.size = 0
        self.is_dirty = False
        self._taken = _Taken()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        sink = pa.PythonFile(self._taken, mode="w")
        self._writer = pa.ipc.new_stream(sink, TABLES[table].schema, options=_OPTIONS)

    def write(self, batch: pa.RecordBatch, place: str) -> None:
        """Append a batch. Raises OSError: the file is as before then, and is to be closed."""
        self._writer.write_batch(batch, custom_metadata={PLACE: place})
        self._append(self._taken.take())

    def _append(self, data: bytes) -> None:
        self.is_dirty = True
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += len(data)

    def sync(self) -> None:
        """All of it is on the disk. Raises OSError."""
        if self.is_dirty:
            os.fdatasync(self._fd)
            self.is_dirty = False

    def close(self) -> None:
        """Closed in any case. Raises OSError if the end could not be written: no batch needs it."""
        fd = self._fd
        try:
            self._writer.close()
            self._append(self._taken.take())
            self.sync()
        finally:
            os.close(fd)


class Spool:
    """The segments of one run of the recorder. `vantage` as in file names, `epoch` is the run's beginning in ns."""

    def __init__(self, folder: Path, vantage: str, epoch: int) -> None:
        self._folder = folder
        self._vantage = vantage
        self.epoch = epoch
        self._open: dict[str, Segment] = {}
        self._batches = dict.fromkeys(TABLES, 0)

    @property
    def paths(self) -> set[Path]:
        """Segments that are being written."""
        return {segment.path for segment in self._open.values()}

    @property
    def size(self) -> int:
        """Bytes in them."""
        return sum(segment.size for segment in self._open.values())

    def write(self, table: str, batch: pa.RecordBatch, place: str) -> None:
        """Append a batch to its table. Raises DiskError."""
        try:
            self._segment(table).write(batch, place)
        except OSError as error:
            self.close(table)
            raise DiskError(error.strerror or str(error)) from error
        self._batches[table] += 1
        if self._open[table].size >= LARGEST_SEGMENT:
            self.close(table)

    def _segment(self, table: str) -> Segment:
        if table not in self._open:
            name = SegmentName(self._vantage, self.epoch, self._batches[table])
            folder = self._folder / SPOOL / table
            make_folder(folder)
            path = folder / str(name)
            path.unlink(missing_ok=True)  # of a segment whose first batch could not be written
            self._open[table] = Segment(path, table)
            sync_folder(folder)
        return self._open[table]

    def remove(self) -> None:
        """Remove all that was written, after `close`. Raises OSError."""
        for table, count in self._batches.items():
            if count:
                for path in (self._folder / SPOOL / table).glob(f"{self._vantage}-{self.epoch}-*{SEGMENT}"):
                    path.unlink()

    def sync(self) -> None:
        """All that was written is on the disk. Raises DiskError."""
        try:
            for segment in self._open.values():
                segment.sync()
        except OSError as error:
            raise DiskError(error.strerror or str(error)) from error

    def close(self, *tables: str) -> None:
        """Close these tables' segments, or all. What cannot be written then is only the mark of the end."""
        for table in tables or list(self._open):
            segment = self._open.pop(table, None)
            if segment is not None:
                with contextlib.suppress(OSError):
                    segment.close()
