"""What the node remembers across restarts, in SQLite: which connection numbers are used up, where
peers were, whom to stay connected with, who is banned, and which nodes and channels services have registered.

The file is lightningd-py.sqlite3 in the network's directory. It has not CLN's name, lightningd.sqlite3: in a directory
that CLN has used that is a wallet. `user_version` says how many of `MIGRATIONS` the file has seen.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lightningd_py.database_writer import Change, DatabaseWriter, damaged, what_is_wrong
from lightningd_py.errors import DatabaseError, NotSaved
from wire.control.timing import CHILD_END_TIME
from wire.start.late_dataclass import dataclass

FILE_NAME = "lightningd-py.sqlite3"
LOSS = "bans, kept and known peers and services' registrations"
"""What is forgotten with the file."""
CONN_ID_STEP = 1_000_000
BUSY = 1_000
"""Milliseconds that SQLite itself tries while another process holds the file."""
MOST_ADDRESSES = 16
"""Of one node; those with the oldest success go first."""

MIGRATIONS = (
    """
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO counters VALUES ('conn_id', 1);
    CREATE TABLE addresses (
        node_id BLOB NOT NULL,
        address TEXT NOT NULL,
        last_success REAL NOT NULL,
        important INTEGER NOT NULL,
        PRIMARY KEY (node_id, address)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE kept_nodes (node_id BLOB PRIMARY KEY) WITHOUT ROWID;
    INSERT INTO kept_nodes SELECT DISTINCT node_id FROM addresses WHERE important;
    ALTER TABLE addresses DROP COLUMN important;
    CREATE TABLE bans (
        what TEXT PRIMARY KEY,
        reason TEXT NOT NULL,
        created REAL NOT NULL,
        expires REAL
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE funding (scid INTEGER PRIMARY KEY, txid BLOB NOT NULL, spent INTEGER);
    CREATE INDEX funding_spent ON funding (spent) WHERE spent IS NOT NULL;
    CREATE TABLE blocks (height INTEGER PRIMARY KEY, hash BLOB NOT NULL);
    """,
    """
    CREATE TABLE discovered (address TEXT PRIMARY KEY) WITHOUT ROWID;
    """,
    """
    CREATE TABLE registered_nodes (node_id BLOB PRIMARY KEY, service TEXT NOT NULL);
    CREATE TABLE registered_channels (
        channel_id BLOB PRIMARY KEY,
        node_id BLOB NOT NULL,
        short_channel_id BLOB,
        service TEXT NOT NULL
    );
    """,
)


@dataclass(frozen=True, slots=True)
class KnownAddress:
    """Where a node was reached. `address` is text as `wire.address` reads it, `last_success` unix seconds."""

    address: str
    last_success: float


@dataclass(frozen=True, slots=True)
class Ban:
    """Who is banned, as `wire.control.access` names it. Times in unix seconds; without `expires` for ever."""

    what: str
    reason: str
    created: float
    expires: float | None


LOCKED_TIME = 30.0
"""Seconds that another process may hold the file, or its disk be full."""


class Database:
    """All of it in memory, where it is read and changed at once; `DatabaseWriter` writes each change to the file.

    Raises DatabaseError, one sentence, for a file that is none of ours, newer than we are, held by another process for
    `patience` seconds, or damaged. So long does what is waited for to be on the disk wait at most, too.
    """

    def __init__(self, path: Path, patience: float = LOCKED_TIME) -> None:
        name = f"database {path}"
        self._memory = sqlite3.connect(":memory:", isolation_level=None)
        try:
            file = open_file(path, name, MIGRATIONS, LOSS, patience, self._load)
        except BaseException:
            self._memory.close()
            raise
        self._writer = DatabaseWriter(file, name, self._memory.serialize, patience, LOSS)

    @property
    def sqlite(self) -> sqlite3.Connection:
        """What is known now, to be read: for tables that one other module has to itself. They change by `change`."""
        return self._memory

    def _load(self, file: sqlite3.Connection, name: str) -> None:
        file.backup(self._memory)
        flaws = [flaw for (flaw,) in self._memory.execute("PRAGMA quick_check(1)")]
        if flaws != ["ok"]:
            raise DatabaseError(damaged(name, flaws[0].splitlines()[-1], LOSS))

    def change(self, change: Change) -> None:
        """Do this at once, in one transaction, and have it written."""
        self._do(change)
        self._writer.write(change)

    async def change_safely(self, change: Change) -> None:
        """The same when it is on the disk, and not before. Raises NotSaved: nothing has changed then."""
        await self._written(change, "nothing was changed")
        self._do(change)

    async def saved(self) -> None:
        """Returns when all that was changed before is on the disk. Raises NotSaved if that takes too long."""
        await self._written((), "it is in force, and waits to be written")

    def _do(self, change: Change) -> None:
        self._memory.execute("BEGIN")
        for statement, rows in change:
            self._memory.executemany(statement, rows)
        self._memory.execute("COMMIT")

    async def _written(self, change: Change, failed: str) -> None:
        loop = asyncio.get_running_loop()
        written: asyncio.Future[str | None] = loop.create_future()

        def settle(reason: str | None) -> None:
            if not written.done():
                written.set_result(reason)

        def done(reason: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, reason)

        self._writer.write(change, done)
        if (reason := await written) is not None:
            raise NotSaved(f"{failed}: {reason}")

    async def next_conn_id_block(self) -> int:
        """The first of CONN_ID_STEP connection numbers that no connection has had, and none will get again.

        On the disk before it is given out, so not even a power cut brings one back. Raises NotSaved.
        """
        ((first,),) = self._memory.execute("SELECT value FROM counters WHERE name = 'conn_id'").fetchall()
        after = int(first) + CONN_ID_STEP
        await self.change_safely([("UPDATE counters SET value = ? WHERE name = 'conn_id'", [(after,)])])
        return int(first)

    def remember_address(self, node_id: bytes, address: str, now: float) -> None:
        """This node was reached at this address."""
        row = {"node_id": node_id, "address": address, "now": now, "most": MOST_ADDRESSES}
        insert = (
            "INSERT INTO addresses VALUES (:node_id, :address, :now) ON CONFLICT DO UPDATE"
            " SET last_success = max(last_success, :now)"
        )
        bound = (
            "DELETE FROM addresses WHERE node_id = :node_id AND address NOT IN"
            " (SELECT address FROM addresses WHERE node_id = :node_id ORDER BY last_success DESC LIMIT :most)"
        )
        self.change([(insert, [row]), (bound, [row])])

    def remember_hint(self, node_id: bytes, address: str) -> None:
        """A user says that the node is at this address; it counts less than one where it was reached."""
        self.remember_address(node_id, address, 0.0)

    def addresses_of(self, node_id: bytes) -> list[KnownAddress]:
        """Where this node was reached, the latest success first."""
        rows = self._memory.execute(
            "SELECT address, last_success FROM addresses WHERE node_id = ? ORDER BY last_success DESC", (node_id,)
        )
        return [KnownAddress(*row) for row in rows]

    def knows_addresses(self) -> bool:
        """Whether there is any node to be reached."""
        ((known,),) = self._memory.execute("SELECT EXISTS (SELECT 1 FROM addresses)").fetchall()
        return bool(known)

    def reached_nodes(self, most: int) -> list[bytes]:
        """Nodes that were reached, the latest first."""
        rows = self._memory.execute(
            "SELECT node_id FROM addresses WHERE last_success > 0 GROUP BY node_id ORDER BY max(last_success) DESC"
            " LIMIT ?",
            (most,),
        )
        return [node_id for (node_id,) in rows]

    def remember_discovered(self, addresses: Iterable[str]) -> None:
        """Where peers see us now; replaces what was remembered."""
        rows = [(address,) for address in addresses]
        self.change([("DELETE FROM discovered", [()]), ("INSERT INTO discovered VALUES (?)", rows)])

    def discovered(self) -> list[str]:
        """Where peers saw us last."""
        return [address for (address,) in self._memory.execute("SELECT address FROM discovered ORDER BY address")]

    def keep_node(self, node_id: bytes, keep: bool) -> None:
        """Whether to stay connected with this node."""
        insert = "INSERT INTO kept_nodes VALUES (?) ON CONFLICT DO NOTHING"
        self.change([(insert if keep else "DELETE FROM kept_nodes WHERE node_id = ?", [(node_id,)])])

    def kept_nodes(self) -> list[bytes]:
        """The nodes to stay connected with."""
        return [node_id for (node_id,) in self._memory.execute("SELECT node_id FROM kept_nodes")]

    async def ban(self, ban: Ban) -> None:
        """Add a ban, or replace the one for the same. Raises NotSaved."""
        row = (ban.what, ban.reason, ban.created, ban.expires)
        await self.change_safely([("INSERT OR REPLACE INTO bans VALUES (?, ?, ?, ?)", [row])])

    async def unban(self, what: str) -> bool:
        """End a ban. False if there is none. Raises NotSaved."""
        found = self._memory.execute("SELECT 1 FROM bans WHERE what = ?", (what,)).fetchone() is not None
        if found:
            await self.change_safely([("DELETE FROM bans WHERE what = ?", [(what,)])])
        return found

    def bans(self, now: float) -> list[Ban]:
        """Those in force, the oldest first; the others are forgotten."""
        if self._memory.execute("SELECT 1 FROM bans WHERE expires <= ?", (now,)).fetchone():
            self.change([("DELETE FROM bans WHERE expires <= ?", [(now,)])])
        return [Ban(*row) for row in self._memory.execute("SELECT * FROM bans ORDER BY created")]

    def close(self) -> None:
        """Write all to the one file."""
        self._writer.close(CHILD_END_TIME)
        self._memory.close()


def open_file(
    path: Path,
    name: str,
    migrations: Sequence[str],
    loss: str,
    patience: float,
    load: Callable[[sqlite3.Connection, str], None],
) -> sqlite3.Connection:
    """A file in autocommit, for a DatabaseWriter: ours alone to read (0600), with all `migrations`, and read by `load`.

    `loss`: what is forgotten with the file. Raises DatabaseError, as Database does.
    """
    if path.is_symlink() and not path.exists():
        raise DatabaseError(f"cannot open {name}: it is a symbolic link to nothing")
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        file = sqlite3.connect(path, isolation_level=None, timeout=patience, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"cannot open {name}: {error}") from error
    try:
        _migrate(file, name, migrations)
        load(file, name)
        file.execute(f"PRAGMA busy_timeout = {BUSY}")
    except BaseException as error:
        file.close()
        if isinstance(error, sqlite3.Error):
            raise DatabaseError(what_is_wrong(name, error, loss)) from error
        raise
    return file


def _migrate(file: sqlite3.Connection, name: str, migrations: Sequence[str]) -> None:
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = FULL")
    (version,) = file.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        raise DatabaseError(
            f"{name} is of version {version}, from a newer lightningd-py: this one knows up to {len(migrations)}"
        )
    for number, script in enumerate(migrations[version:], start=version + 1):
        file.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
