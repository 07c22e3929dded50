"""What a recorder may keep: bytes of spool, and days of hour files. Spool that goes is a row in `losses`."""

import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from lightningd_py.observatory.record.conversion import own_segments
from lightningd_py.observatory.tables.names import SegmentName
from lightningd_py.observatory.tables.schemas import TABLES
from lightningd_py.observatory.tables.segment import read_segment

DAY = 86_400


class Evicted(NamedTuple):
    """A segment that had to go, with so many rows."""

    table: str
    rows: int


def evict(folder: Path, vantage: str, being_written: Iterable[Path], quota: int) -> Iterator[Evicted]:
    """Remove the oldest closed segments until all that is left has at most `quota` bytes. Raises OSError.

    Not while a conversion is under way.
    """
    kept = set(being_written)
    found = []
    for table in TABLES:
        for path in own_segments(folder, vantage, table):
            name = SegmentName.parse(path.name)
            stat = path.stat()
            found.append((stat.st_mtime_ns, name, table, path, stat.st_size))
    found.sort()
    size = sum(each[-1] for each in found)
    for _, _, table, path, bytes_ in found:
        if size <= quota:
            return
        if path in kept:
            continue
        rows = sum(each.batch.num_rows for each in read_segment(path))
        path.unlink()
        size -= bytes_
        yield Evicted(table, rows)


def remove_old_days(folder: Path, days: int, now: float) -> int:
    """Remove hour files of days that ended so many days ago, of all vantage points; how many folders that were."""
    last = time.strftime("date=%Y-%m-%d", time.gmtime(now - days * DAY))
    old = [day for table in TABLES for day in (folder / table).glob("date=*") if day.name < last]
    for day in old:
        shutil.rmtree(day, ignore_errors=True)
    return len(old)
