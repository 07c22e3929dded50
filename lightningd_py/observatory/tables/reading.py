"""The tables of a record for reading: hour files and the spool's segments as one, nothing missing and nothing twice.

Readers take no lock: the recorder goes on beside them. Which of hour files and segments are the truth while segments
are made into hour files is said by that conversion's manifest (record/conversion.py).
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.names import (
    COMMITTED,
    MANIFEST,
    SPOOL,
    hour_files,
    hour_of,
    number_of,
    segments,
)
from lightningd_py.observatory.tables.schemas import TABLES
from lightningd_py.observatory.tables.segment import read_segment

TRIES = 100

Complain = Callable[[str], None]
"""Gets a sentence about a file that cannot be read and is left out."""


class Part(NamedTuple):
    """What is to be read of one table: hour files, and what was only in the spool."""

    files: list[Path]
    recent: pa.Table


class Manifests(NamedTuple):
    """Conversions under way: `ahead`, vantage point and N of those whose hour files are not yet the truth; `behind`,
    the segments (table, name) that are no longer; `names` of the manifests."""

    ahead: frozenset[tuple[str, int]]
    behind: frozenset[tuple[str, str]]
    names: frozenset[str]


def read_manifests(folder: Path) -> Manifests:
    """Those in the spool now. Raises FileNotFoundError if one goes meanwhile."""
    ahead, behind, names = set(), set(), set()
    for path in (folder / SPOOL).glob("*.conver*"):
        numbered = number_of(path.name)
        if numbered is None:
            continue
        names.add(path.name)
        if path.suffix == MANIFEST:
            ahead.add(numbered)
        elif path.suffix == COMMITTED:
            listed = json.loads(path.read_text())["segments"]
            behind |= {(table, name) for table, found in listed.items() for name in found}
    return Manifests(frozenset(ahead), frozenset(behind), frozenset(names))


class Record:
    """A recorder's folder. `complain` is told once of each file that cannot be read."""

    def __init__(self, folder: Path, complain: Complain = lambda sentence: None) -> None:
        """Raises ObservatoryError if nothing was recorded there."""
        self.folder = folder
        self._complain = complain
        self._good: dict[Path, bool] = {}
        if not any((folder / name).is_dir() for name in (SPOOL, *TABLES)):
            raise ObservatoryError(f"nothing was recorded in {folder}: `lightning-observatory record` does that")

    def part(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        since_ns: int | None = None,
        until_ns: int | None = None,
    ) -> Part:
        """What there is of a table whose time may lie between the two. Rows outside may be among them.

        Raises ObservatoryError if the recorder does not leave the time to read it, which it does.
        """
        for _ in range(TRIES):
            try:
                found = self._try(table, columns, since_ns, until_ns)
            except FileNotFoundError:
                continue
            if found is not None:
                return found
        raise ObservatoryError(f"the files in {self.folder} change faster than they can be read")

    def _try(
        self, table: str, columns: Sequence[str] | None, since_ns: int | None, until_ns: int | None
    ) -> Part | None:
        """None if a conversion has come between. Segments are listed first: one that is not there any more has its
        hour files."""
        listed = segments(self.folder, table)
        manifests = read_manifests(self.folder)
        hours = [None if at is None else hour_of(at) for at in (since_ns, until_ns)]
        files = [path for path in hour_files(self.folder, table, *hours) if number_of(path.name) not in manifests.ahead]
        schema = _chosen(TABLES[table].schema, columns)
        batches = [
            found.batch
            for path in listed
            if (table, path.name) not in manifests.behind
            for found in read_segment(path, columns)
        ]
        recent = pa.Table.from_batches([each.select(schema.names) for each in batches], schema)
        if not set(listed) <= set(segments(self.folder, table)):
            return None
        if read_manifests(self.folder).names != manifests.names:
            return None
        return Part([path for path in files if self._is_good(path)], recent)

    def _is_good(self, path: Path) -> bool:
        if path not in self._good:
            self._good[path] = True
            try:
                pq.read_metadata(path)
            except (OSError, pa.ArrowException) as error:
                self.leave_out(path, error)
        return self._good[path]

    def leave_out(self, path: Path, error: BaseException) -> None:
        """Read this hour file no more."""
        self._good[path] = False
        self._complain(f"{path} is damaged and is left out: {str(error).splitlines()[0]}")

    def leave_out_damaged(self, paths: Iterable[Path]) -> bool:
        """Look through these files from end to end; whether any had to be left out."""
        found = False
        for path in paths:
            try:
                with pq.ParquetFile(path, page_checksum_verification=True) as file:
                    for _ in file.iter_batches():
                        pass
            except (OSError, pa.ArrowException) as error:
                self.leave_out(path, error)
                found = True
        return found


def _chosen(schema: pa.Schema, columns: Sequence[str] | None) -> pa.Schema:
    return schema if columns is None else pa.schema([field for field in schema if field.name in columns])
