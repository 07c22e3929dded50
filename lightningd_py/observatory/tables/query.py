"""DuckDB over a record: the tables of a stretch of time as views, and another try without files that are damaged.

DuckDB takes a file's name for a pattern, a bucket or a home: it gets names below an open folder, which are ours alone.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import duckdb

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.schemas import TABLES

T = TypeVar("T")
MEMORY = "1GB"
Row = dict[str, Any]


class Query:
    """One connection. Views live as long as it does."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.files: set[Path] = set()
        self._folder = os.open(record.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._connection = duckdb.connect()
        self._connection.execute(f"SET memory_limit = '{MEMORY}'")
        self._connection.execute("SET enable_progress_bar = false")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        os.close(self._folder)

    def load(
        self,
        table: str,
        columns: Sequence[str],
        since_ns: int | None = None,
        until_ns: int | None = None,
        view: str | None = None,
    ) -> None:
        """A view, named like the table if nothing is said, of its rows between the two times, both included."""
        time = TABLES[table].time
        wanted = list(dict.fromkeys([*columns, time]))
        part = self.record.part(table, wanted, since_ns, until_ns)
        self.files |= set(part.files)
        name = view or table
        self._connection.register(f"recent_{name}", part.recent)
        listed = ", ".join(wanted)
        sources = [f"SELECT {listed} FROM recent_{name}"]
        if part.files:
            files = ", ".join(_quoted(self._name(path)) for path in part.files)
            sources.append(f"SELECT {listed} FROM read_parquet([{files}], hive_partitioning = false)")
        when = f"{time} BETWEEN {since_ns or 0} AND {(1 << 63) - 1 if until_ns is None else until_ns}"
        union = " UNION ALL ".join(sources)
        self._connection.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT {listed} FROM ({union}) WHERE {when}")

    def _name(self, path: Path) -> str:
        return f"/proc/self/fd/{self._folder}/{path.relative_to(self.record.folder)}"

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What it finds."""
        return self._connection.execute(sql, list(values)).fetchall()

    def stream(self, sql: str, values: Sequence[Any] = (), at_a_time: int = 10_000) -> Iterator[tuple[Any, ...]]:
        """The same, so many at a time. Nothing else may be asked until the last one is taken."""
        done = self._connection.execute(sql, list(values))
        while rows := done.fetchmany(at_a_time):
            yield from rows

    def dicts(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """The same by the names of columns."""
        done = self._connection.execute(sql, list(values))
        names = [column[0] for column in done.description or ()]
        return [dict(zip(names, row, strict=True)) for row in done.fetchall()]

    def register(self, name: str, table: Any) -> None:
        """An Arrow table as a view."""
        self._connection.register(name, table)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def asking(record: Record, ask: Callable[[Query], T]) -> T:
    """What `ask` finds; if a damaged file is in the way, it is left out. Raises ObservatoryError."""
    while True:
        with Query(record) as query:
            try:
                return ask(query)
            except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException):
                raise  # a mistake of ours
            except duckdb.Error as error:
                if not record.leave_out_damaged(query.files):
                    raise ObservatoryError(f"the record cannot be read: {str(error).splitlines()[0]}") from error
