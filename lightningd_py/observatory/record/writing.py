"""Rows into the spool, batch by batch. What a full disk does not take is counted, and said when there is room again."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from lightningd_py.observatory.record.feed_rows import UNREADABLE, FeedRows
from lightningd_py.observatory.record.rows import MOST_ROWS, Rows
from lightningd_py.observatory.record.spool import DiskError, Spool
from lightningd_py.observatory.tables.schemas import batch

MOST_LOSSES = 10_000
"""Rows of `losses` that wait for room on the disk."""
DISK = "disk"


class Trouble:
    """Something that goes wrong and right again: each is said once."""

    def __init__(self, say: Callable[[str], None], good: str) -> None:
        self._say, self._good = say, good
        self.sentence = ""

    def is_now(self, sentence: str) -> None:
        """What is wrong; empty if nothing is."""
        if sentence and sentence != self.sentence:
            self._say(sentence)
        elif self.sentence and not sentence:
            self._say(self._good)
        self.sentence = sentence


class Writing:
    """`lost` counts rows that were not written. `failed` names the tables of the last `flush` that could not be."""

    def __init__(self, rows: Rows, feed_rows: FeedRows, spool: Spool, say: Callable[[str], None]) -> None:
        self.lost = 0
        self.failed: set[str] = set()
        self.trouble = Trouble(say, "recording goes on")
        self._rows, self._feed_rows, self._spool = rows, feed_rows, spool
        self._unwritten: Counter[str] = Counter()

    def flush(self) -> None:
        """Write all rows that there are. The disk's trouble is heard of in `trouble`."""
        self.failed = set()
        sentence = ""
        for table, rows in self._rows.take():
            for start in range(0, len(rows), MOST_ROWS):
                sentence = self._write(table, rows[start : start + MOST_ROWS]) or sentence
        if not self.failed:
            self._say_unwritten()
        self.trouble.is_now(sentence)

    def _write(self, table: str, rows: list[tuple[Any, ...]]) -> str:
        """What went wrong, or nothing."""
        made = self._batch(table, rows)
        if made is None:
            return ""
        try:
            self._spool.write(table, made, self._feed_rows.place.encode(table))
        except DiskError as error:
            self.failed.add(table)
            self._keep_in_mind(table, rows)
            return f"nothing can be recorded: {error}; what comes meanwhile is counted as lost"
        return ""

    def _batch(self, table: str, rows: list[tuple[Any, ...]]) -> pa.RecordBatch | None:
        """Rows that do not fit the columns are left out, and counted."""
        try:
            return batch(table, rows)
        except (pa.ArrowException, TypeError, OverflowError):
            good = [row for row in rows if _fits(table, row)]
            self._feed_rows.lost(table, None, len(rows) - len(good), UNREADABLE)
            return batch(table, good) if good else None

    def _keep_in_mind(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        if table == "losses":
            self._rows.tables[table] = (rows + self._rows.tables[table])[:MOST_LOSSES]
            return
        if table == "messages":
            for row in rows:
                self._feed_rows.seen.forget(row[2])
        self._unwritten[table] += len(rows)
        self.lost += len(rows)

    def _say_unwritten(self) -> None:
        for table, count in self._unwritten.items():
            self._feed_rows.lost(table, None, count, DISK)
        self._unwritten.clear()

    def sync(self) -> None:
        """All that was written is on the disk, or `trouble` says why not."""
        try:
            self._spool.sync()
        except DiskError as error:
            self.trouble.is_now(f"the disk does not keep what is written: {error}")


def _fits(table: str, row: tuple[Any, ...]) -> bool:
    try:
        batch(table, [row])
    except (pa.ArrowException, TypeError, OverflowError):
        return False
    return True
