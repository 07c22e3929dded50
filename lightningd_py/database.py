"""What the node remembers across restarts, in SQLite: which connection numbers are used up, where
peers were, whom to stay connected with, who is banned, and which nodes and channels services have registered.

The file is lightningd-py.sqlite3 in the network's directory. It has not CLN's name, lightningd.sqlite3: in a directory
that CLN has used that is a wallet. `user_version` says how many of `MIGRATIONS` the file has seen.
"""

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lightningd_py.errors import DatabaseError

FILE_NAME = "lightningd-py.sqlite3"
CONN_ID_STEP = 1_000_000
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


class Database:
    """The open file. Raises DatabaseError, one sentence, for a file that is none of ours, or newer than we are."""

    def __init__(self, path: Path) -> None:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._sqlite = sqlite3.connect(path, isolation_level=None, timeout=1.0)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseError(f"cannot open database {path}: {error}") from error
        try:
            self._sqlite.execute("PRAGMA journal_mode = WAL")
            self._sqlite.execute("PRAGMA synchronous = NORMAL")
            self._migrate(path)
        except sqlite3.Error as error:
            self._sqlite.close()
            raise DatabaseError(f"cannot use database {path}: {error}") from error
        except DatabaseError:
            self._sqlite.close()
            raise

    @property
    def sqlite(self) -> sqlite3.Connection:
        """The connection, in autocommit: for tables that one other module has to itself."""
        return self._sqlite

    def _migrate(self, path: Path) -> None:
        (version,) = self._sqlite.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise DatabaseError(
                f"database {path} is of version {version}, from a newer lightningd-py: this one knows up to"
                f" {len(MIGRATIONS)}"
            )
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            self._sqlite.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")

    def next_conn_id_block(self) -> int:
        """The first of CONN_ID_STEP connection numbers that no connection has had, and none will get again.

        On the disk before it is given out, so not even a power cut brings one back.
        """
        self._sqlite.execute("PRAGMA synchronous = FULL")
        ((after,),) = self._sqlite.execute(
            "UPDATE counters SET value = value + ? WHERE name = 'conn_id' RETURNING value", (CONN_ID_STEP,)
        ).fetchall()
        self._sqlite.execute("PRAGMA synchronous = NORMAL")
        return int(after) - CONN_ID_STEP

    def remember_address(self, node_id: bytes, address: str, now: float) -> None:
        """This node was reached at this address."""
        row = {"node_id": node_id, "address": address, "now": now, "most": MOST_ADDRESSES}
        self._sqlite.execute(
            "INSERT INTO addresses VALUES (:node_id, :address, :now) ON CONFLICT DO UPDATE"
            " SET last_success = max(last_success, :now)",
            row,
        )
        self._sqlite.execute(
            "DELETE FROM addresses WHERE node_id = :node_id AND address NOT IN"
            " (SELECT address FROM addresses WHERE node_id = :node_id ORDER BY last_success DESC LIMIT :most)",
            row,
        )

    def remember_hint(self, node_id: bytes, address: str) -> None:
        """A user says that the node is at this address; it counts less than one where it was reached."""
        self.remember_address(node_id, address, 0.0)

    def addresses_of(self, node_id: bytes) -> list[KnownAddress]:
        """Where this node was reached, the latest success first."""
        rows = self._sqlite.execute(
            "SELECT address, last_success FROM addresses WHERE node_id = ? ORDER BY last_success DESC", (node_id,)
        )
        return [KnownAddress(*row) for row in rows]

    def knows_addresses(self) -> bool:
        """Whether there is any node to be reached."""
        ((known,),) = self._sqlite.execute("SELECT EXISTS (SELECT 1 FROM addresses)").fetchall()
        return bool(known)

    def reached_nodes(self, most: int) -> list[bytes]:
        """Nodes that were reached, the latest first."""
        rows = self._sqlite.execute(
            "SELECT node_id FROM addresses WHERE last_success > 0 GROUP BY node_id ORDER BY max(last_success) DESC"
            " LIMIT ?",
            (most,),
        )
        return [node_id for (node_id,) in rows]

    def remember_discovered(self, addresses: Iterable[str]) -> None:
        """Where peers see us now; replaces what was remembered."""
        with self._sqlite:
            self._sqlite.execute("BEGIN")
            self._sqlite.execute("DELETE FROM discovered")
            self._sqlite.executemany("INSERT INTO discovered VALUES (?)", [(address,) for address in addresses])

    def discovered(self) -> list[str]:
        """Where peers saw us last."""
        return [address for (address,) in self._sqlite.execute("SELECT address FROM discovered ORDER BY address")]

    def keep_node(self, node_id: bytes, keep: bool) -> None:
        """Whether to stay connected with this node."""
        if keep:
            self._sqlite.execute("INSERT INTO kept_nodes VALUES (?) ON CONFLICT DO NOTHING", (node_id,))
        else:
            self._sqlite.execute("DELETE FROM kept_nodes WHERE node_id = ?", (node_id,))

    def kept_nodes(self) -> list[bytes]:
        """The nodes to stay connected with."""
        return [node_id for (node_id,) in self._sqlite.execute("SELECT node_id FROM kept_nodes")]

    def ban(self, ban: Ban) -> None:
        """Add a ban, or replace the one for the same."""
        self._sqlite.execute(
            "INSERT OR REPLACE INTO bans VALUES (?, ?, ?, ?)", (ban.what, ban.reason, ban.created, ban.expires)
        )

    def unban(self, what: str) -> bool:
        """End a ban. False if there is none."""
        return self._sqlite.execute("DELETE FROM bans WHERE what = ?", (what,)).rowcount > 0

    def bans(self, now: float) -> list[Ban]:
        """Those in force, the oldest first; the others are forgotten."""
        self._sqlite.execute("DELETE FROM bans WHERE expires <= ?", (now,))
        return [Ban(*row) for row in self._sqlite.execute("SELECT * FROM bans ORDER BY created")]

    def close(self) -> None:
        """Write all to the one file."""
        self._sqlite.close()
