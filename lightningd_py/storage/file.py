"""The file of the blobs, peer_storage.sqlite3: written in a thread, read a blob at a time when its peer connects.

It is a file of its own, for it may be large, and nothing of the node depends on it: where it cannot be used the node
runs without. `kept` has what is in the table of `kept.py`, `blobs` what peers have sent.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from lightningd_py.database import open_file
from lightningd_py.database_writer import Change, DatabaseWriter, what_is_wrong
from lightningd_py.storage.kept import Kept
from wire.control.status import Status
from wire.control.timing import CHILD_END_TIME

FILE_NAME = "peer_storage.sqlite3"
LOSS = "the backups that peers have here"
HELD = 1.0
"""Seconds for which another process may hold it at the start."""
WRITE_TIME = 2.0
"""Seconds after which a write that does not succeed is given up: what it was about waits for the next one."""
MIGRATIONS = (
    """
    CREATE TABLE kept (
        node_id BLOB PRIMARY KEY,
        size INTEGER NOT NULL,
        stored REAL NOT NULL,
        since REAL,
        network TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE blobs (node_id BLOB PRIMARY KEY, blob BLOB NOT NULL);
    """,
)

status = Status("storage")


class BlobFile:
    """Open. `kept` is what it had when it was opened."""

    def __init__(self, path: Path) -> None:
        """Raises DatabaseError, one sentence."""
        self._path = path
        self._name = f"database {path}"
        self.kept: dict[bytes, Kept] = {}
        file = open_file(path, self._name, MIGRATIONS, LOSS, HELD, self._load)
        self._writer = DatabaseWriter(file, self._name, bytes, WRITE_TIME, LOSS)
        self._said = False

    def _load(self, file: sqlite3.Connection, name: str) -> None:
        rows = file.execute("SELECT node_id, size, stored, since, network FROM kept")
        self.kept = {node_id: Kept(size, stored, since, network) for node_id, size, stored, since, network in rows}

    def read(self, node_id: bytes) -> bytes | None:
        """A blob; None if there is none, or it cannot be read. The file is opened for it: so no fd stays."""
        try:
            file = sqlite3.connect(f"{self._path.as_uri()}?mode=rw", uri=True, timeout=0.0)
            try:
                row = file.execute("SELECT blob FROM blobs WHERE node_id = ?", (node_id,)).fetchone()
            finally:
                file.close()
        except sqlite3.Error as error:
            self._complain(what_is_wrong(self._name, error, LOSS))
            return None
        if row is None or not isinstance(row[0], bytes):
            self._complain(f"{self._name} lacks a blob that it should have")
            return None
        return row[0]

    def _complain(self, text: str) -> None:
        """Once, or a stranger could fill the log by connecting."""
        if not self._said:
            self._said = True
            status.unusual(f"{text}; a peer is not given its backup back")

    def write(self, change: Change, done: Callable[[str | None], None]) -> None:
        """In the thread, which calls `done` with None or what was in the way. Nothing overflows with one at a time."""
        self._writer.write(change, done)

    def close(self) -> None:
        """Write what was given to it, if that can be done soon."""
        self._writer.close(CHILD_END_TIME)
