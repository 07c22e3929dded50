"""Rows that are about to become batches, and which messages have been seen already."""

from typing import Any

from lightningd_py.observatory.tables.schemas import TABLES

MOST_ROWS = 500
"""In a batch."""
REMEMBERED = 250_000
"""Hashes in a generation, of which there are two: 50 MB."""
ORDER = ("losses", "messages", "peers", "map", "clock", "arrivals")
"""In which tables are written: what a batch's place counts as taken is on the disk before it."""

assert set(ORDER) == TABLES.keys()


class Rows:
    """Rows by table. `full` as soon as one has enough for a batch."""

    def __init__(self) -> None:
        self.tables: dict[str, list[tuple[Any, ...]]] = {table: [] for table in ORDER}
        self.full = False

    def add(self, table: str, row: tuple[Any, ...]) -> None:
        """In the order of the table's columns."""
        rows = self.tables[table]
        rows.append(row)
        if len(rows) >= MOST_ROWS and table != "losses":  # they may wait for room on the disk
            self.full = True

    def take(self) -> list[tuple[str, list[tuple[Any, ...]]]]:
        """All rows, in the order in which they are to be written."""
        taken = [(table, self.tables[table]) for table in ORDER if self.tables[table]]
        for table, _ in taken:
            self.tables[table] = []
        self.full = False
        return taken


class Seen:
    """Hashes of messages, the newest 250,000 at least. What is forgotten is taken for new, which costs a row."""

    def __init__(self, generation: int = REMEMBERED) -> None:
        self._generation = generation
        self._newer: set[bytes] = set()
        self._older: set[bytes] = set()

    def __contains__(self, key: bytes) -> bool:
        return key in self._newer or key in self._older

    def is_new(self, key: bytes) -> bool:
        """Whether it was not seen before; from now on it was."""
        if key in self._newer:
            return False
        is_new = key not in self._older
        self._newer.add(key)
        if len(self._newer) >= self._generation:
            self._newer, self._older = set(), self._newer
        return is_new

    def forget(self, key: bytes) -> None:
        """Take back that it was seen: its row could not be written."""
        self._newer.discard(key)
        self._older.discard(key)
