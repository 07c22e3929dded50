"""Names of the files of a record: spool segments, manifests of conversions, hour files.

    DIR/spool/TABLE/VANTAGE-EPOCH-FIRSTBATCH.arrows
    DIR/spool/VANTAGE-N.conversion, .converted
    DIR/TABLE/date=YYYY-MM-DD/hour=HH/VANTAGE-N.parquet

EPOCH is the unix nanosecond at which that run of the recorder began, FIRSTBATCH counts the table's batches of the run.
"""

import hashlib
import re
import time
from pathlib import Path
from typing import NamedTuple

from lightningd_py.observatory.tables.schemas import HOUR_NS, TABLES

SPOOL = "spool"
SEGMENT, MANIFEST, COMMITTED, HOUR_FILE = ".arrows", ".conversion", ".converted", ".parquet"
_UNSAFE = re.compile(r"[^A-Za-z0-9_.]|^\.")
_SEGMENT = re.compile(r"(.+)-([0-9]{1,20})-([0-9]{1,12})\.arrows")
_NUMBERED = re.compile(r"(.+)-([0-9]{1,12})\.(?:conversion|converted|parquet)")
LONGEST_NAME = 100


def file_name(vantage: str) -> str:
    """The name of a vantage point as a part of a file's name: letters, digits, _ and dots. Two names that differ have
    two that differ."""
    safe = _UNSAFE.sub("_", vantage)[:LONGEST_NAME]
    return safe if safe == vantage and safe else f"{safe}_{hashlib.sha256(vantage.encode()).hexdigest()[:8]}"


class SegmentName(NamedTuple):
    """Which batches a segment begins with. Sorts as it was written."""

    vantage: str
    epoch: int
    first: int

    @classmethod
    def parse(cls, name: str) -> "SegmentName | None":
        """None for a name of another form."""
        match = _SEGMENT.fullmatch(name)
        return None if match is None else cls(match[1], int(match[2]), int(match[3]))

    def __str__(self) -> str:
        return f"{self.vantage}-{self.epoch}-{self.first}{SEGMENT}"


def number_of(name: str) -> tuple[str, int] | None:
    """The vantage point and N of a manifest or an hour file, or None."""
    match = _NUMBERED.fullmatch(name)
    return None if match is None else (match[1], int(match[2]))


def hour_of(time_ns: int) -> int:
    """Hours since 1970."""
    return time_ns // HOUR_NS


def hour_folder(folder: Path, table: str, hour: int) -> Path:
    """Where the hour files of that hour since 1970 lie."""
    then = time.gmtime(hour * 3600)
    return folder / table / f"date={time.strftime('%Y-%m-%d', then)}" / f"hour={time.strftime('%H', then)}"


def hour_files(folder: Path, table: str, first_hour: int | None = None, last_hour: int | None = None) -> list[Path]:
    """The hour files of a table, oldest first, of these hours since 1970, both included."""
    first = "" if first_hour is None else _key(first_hour)
    last = "~" if last_hour is None else _key(last_hour)
    found = []
    for day in sorted((folder / table).glob("date=*")):
        if not first[:15] <= day.name <= last[:15]:
            continue
        for hour in sorted(day.glob("hour=*")):
            if first <= f"{day.name}/{hour.name}" <= last:
                found += sorted(hour.glob(f"*{HOUR_FILE}"), key=lambda path: number_of(path.name) or ("", 0))
    return found


def _key(hour: int) -> str:
    return "/".join(hour_folder(Path(), "x", hour).parts[-2:])


def segments(folder: Path, table: str) -> list[Path]:
    """The segments of a table in the spool, as they were written."""
    found = [
        (name, path)
        for path in (folder / SPOOL / table).glob(f"*{SEGMENT}")
        if (name := SegmentName.parse(path.name)) is not None
    ]
    return [path for _, path in sorted(found)]


def spool_folders(folder: Path) -> list[Path]:
    """Where segments lie, a folder a table."""
    return [folder / SPOOL / table for table in TABLES]
