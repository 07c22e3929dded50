"""The thread that writes the database's file, in order, while the node goes on.

A file that another process holds, or a full disk, is an outage: what is to be written waits, and is tried again until
it is written. What has a deadline is given up then, whole. MOST_WAITING changes may wait; after one more the file stays
as it is, which is a state that it once had in life, and when it can be written again it becomes a copy of all that the
node knows.
"""

import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from wire.control.status import Status
from wire.start.late_dataclass import dataclass

MOST_WAITING = 10_000
PAUSE = 0.05
"""Seconds between two tries."""
WORTH_A_LINE = 1.0
"""Seconds of outage."""

_NO_WAL = b"\1\1"
"""In the header of a copy, which says that it has a WAL as the file has one: in memory there is none."""

Change = Sequence[tuple[str, Sequence[Any]]]
"""Statements, each with its rows of parameters: in one transaction."""

status = Status("database")


@dataclass(slots=True, eq=False)
class _Job:
    change: Change
    done: Callable[[str | None], None] | None
    """Gets None, or why it has failed, in the thread. None: it is tried for ever."""
    deadline: float
    copy: bytes | None = None
    """The whole database, in place of a change."""


class DatabaseWriter:
    """Has the file to itself. `whole` gives the database that is to be written after an overflow, serialized."""

    def __init__(
        self, file: sqlite3.Connection, name: str, whole: Callable[[], bytes], patience: float, loss: str
    ) -> None:
        """`file` in autocommit; it is the thread's from now on. `name` is the file's, for the log. `patience`: seconds
        after which a change with a deadline is given up. `loss`: what is forgotten with the file.
        """
        self._patience, self._loss = patience, loss
        self._file, self._name, self._whole = file, name, whole
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._overflown = self._ending = False
        self._outage_since: float | None = None
        self._said = False
        self._thread = threading.Thread(target=self._run, name="database", daemon=True)
        self._thread.start()

    def write(self, change: Change, done: Callable[[str | None], None] | None = None) -> None:
        """Write this after all before it. With `done` it is given up after `patience`."""
        with self._changed:
            if self._overflown and not self._jobs:
                self._overflown = False
                self._jobs.append(_Job((), None, 0.0, self._whole()))  # in which this change is, too
                change = change if done is not None else ()
            if len(self._jobs) >= MOST_WAITING or self._overflown:
                self._refuse(done)
                return
            self._jobs.append(_Job(change, done, time.monotonic() + self._patience))
            self._changed.notify_all()

    def _refuse(self, done: Callable[[str | None], None] | None) -> None:
        if done is not None:
            done("too much waits to be written")
            return
        if not self._overflown:
            status.unusual(f"{self._name}: {MOST_WAITING} changes wait: it is written as a whole when it can be")
        self._overflown = True

    def close(self, patience: float) -> None:
        """Write what waits, `patience` seconds at most, and close the file."""
        with self._changed:
            self._ending = True
            if self._overflown:
                self._jobs.append(_Job((), None, 0.0, self._whole()))
            self._changed.notify_all()
        self._thread.join(patience)
        if self._thread.is_alive():
            status.unusual(f"{self._name}: {len(self._jobs)} changes could not be written before the end")

    # in the thread

    def _run(self) -> None:
        while (job := self._next()) is not None:
            reason = self._try(job)
            with self._changed:
                if reason is None or not self._is_outage:
                    self._jobs.popleft()
                else:
                    self._changed.wait(PAUSE)
                self._give_up(reason)
            if job.done is not None and (reason is None or not self._is_outage):
                job.done(reason)
        self._file.close()

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._ending)
            return self._jobs[0] if self._jobs else None

    def _try(self, job: _Job) -> str | None:
        """None, or what is in the way."""
        try:
            if job.copy is not None:
                self._become(job.copy)
            elif job.change:
                self._execute(job.change)
        except sqlite3.Error as error:
            self._is_outage = is_outage(error)
            reason = what_is_wrong(self._name, error, self._loss)
            self._note_outage(reason)
            return reason
        if self._outage_since is not None and self._said:
            status.info(f"{self._name}: it is written again")
        self._outage_since, self._said = None, False
        return None

    _is_outage = False
    """Whether what was in the way last may pass."""

    def _execute(self, change: Change) -> None:
        file = self._file
        file.execute("BEGIN IMMEDIATE")
        try:
            for statement, rows in change:
                file.executemany(statement, rows)
            file.execute("COMMIT")
        except sqlite3.Error:
            if file.in_transaction:
                file.execute("ROLLBACK")
            raise

    def _become(self, whole: bytes) -> None:
        with_all = sqlite3.connect(":memory:")
        try:
            with_all.deserialize(whole[:18] + _NO_WAL + whole[20:])
            with_all.backup(self._file)
        finally:
            with_all.close()

    def _note_outage(self, reason: str) -> None:
        now = time.monotonic()
        self._outage_since = now if self._outage_since is None else self._outage_since
        if not self._said and (not self._is_outage or now - self._outage_since >= WORTH_A_LINE):
            status.unusual(f"{reason}; what is to be written {'waits' if self._is_outage else 'is lost'}")
            self._said = True

    def _give_up(self, reason: str | None) -> None:
        """Those whose time is over, wherever they stand; the head too, which has just failed."""
        now = time.monotonic()
        for job in [job for job in self._jobs if job.done is not None and job.deadline <= now]:
            self._jobs.remove(job)
            assert job.done is not None
            job.done(reason or f"{self._name} could not be written for {self._patience:g} s")


def is_outage(error: sqlite3.Error) -> bool:
    """Whether it may pass: another process holds the file, or there is no room, or no fd."""
    passing = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return _code(error) in (*passing, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM)


def what_is_wrong(name: str, error: sqlite3.Error, loss: str) -> str:
    """One sentence, with advice. `loss`: what is forgotten with the file."""
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{name} is held by another process: end that"
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return damaged(name, str(error), loss)
    return f"{name} cannot be written: {error}"


def damaged(name: str, flaw: str, loss: str) -> str:
    """What to do about a damaged file."""
    path = name.removeprefix("database ")
    return (
        f"{name} is damaged ({flaw}): put a copy of it back, or try `sqlite3 {path} .recover`, or move it away, and"
        f" {loss} are forgotten"
    )


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
