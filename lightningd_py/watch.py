"""The funding outputs that are watched, and how far the chain has been looked at: in memory, and in the database.

A spent one is kept for KEPT_BLOCKS more, so that a reorganisation can make it unspent again; as many hashes of blocks
are kept, to find where two chains part. What a block changes goes to the disk in one transaction with the block.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from lightningd_py.database import Database
from wire.scid import block_of, output_of

KEPT_BLOCKS = 144
"""A day: no reorganisation of Bitcoin's chain was ever half as long."""

Outpoint = bytes
"""36 bytes: transaction id in the byte order of blocks, and index (u32, little endian)."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block by its place; the hash is in the byte order of blocks."""

    height: int
    hash: bytes


def outpoint_of(txid: bytes, scid: int) -> Outpoint:
    """The outpoint of a channel whose funding transaction has this id."""
    return txid + output_of(scid).to_bytes(4, "little")


class Watch:
    """Funding outpoint -> channel."""

    def __init__(self, database: Database) -> None:
        self._sqlite = database.sqlite
        rows = self._sqlite.execute("SELECT scid, txid FROM funding")
        self._scids: dict[Outpoint, int] = {outpoint_of(txid, scid): scid for scid, txid in rows}
        row = self._sqlite.execute("SELECT height, hash FROM blocks ORDER BY height DESC LIMIT 1").fetchone()
        self.last: Block | None = Block(*row) if row else None
        """The last block that has been looked at."""

    def __len__(self) -> int:
        return len(self._scids)

    def add(self, outputs: Iterable[tuple[int, bytes]]) -> None:
        """Watch these from now on: (scid, txid)."""
        rows = list(outputs)
        self._scids.update((outpoint_of(txid, scid), scid) for scid, txid in rows)
        self._sqlite.execute("BEGIN")
        self._sqlite.executemany("INSERT OR REPLACE INTO funding VALUES (?, ?, NULL)", rows)
        self._sqlite.execute("COMMIT")

    def unwatched(self, scids: Iterable[int]) -> list[int]:
        """Those that are not watched. All others that are watched are let go: `scids` is all there is."""
        wanted = set(scids)
        gone = [(outpoint, scid) for outpoint, scid in self._scids.items() if scid not in wanted]
        for outpoint, _ in gone:
            del self._scids[outpoint]
        self._sqlite.execute("BEGIN")
        self._sqlite.executemany("DELETE FROM funding WHERE scid = ?", [(scid,) for _, scid in gone])
        self._sqlite.execute("COMMIT")
        return sorted(wanted - set(self._scids.values()))

    def channel_at(self, outpoint: Outpoint) -> int | None:
        """The channel whose funding output this is."""
        return self._scids.get(outpoint)

    def outputs(self, above: int = -1) -> list[tuple[int, bytes]]:
        """(scid, txid) of all unspent ones that were funded above this height."""
        spent = {scid for (scid,) in self._sqlite.execute("SELECT scid FROM funding WHERE spent IS NOT NULL")}
        return [
            (scid, outpoint[:32])
            for outpoint, scid in self._scids.items()
            if block_of(scid) > above and scid not in spent
        ]

    def take(self, block: Block, spent: Iterable[int]) -> None:
        """This block follows the last one, or any after a gap, and spends these channels' outputs."""
        sqlite = self._sqlite
        too_old = (block.height - KEPT_BLOCKS,)
        sqlite.execute("BEGIN")
        sqlite.executemany("UPDATE funding SET spent = ? WHERE scid = ?", [(block.height, scid) for scid in spent])
        sqlite.execute("INSERT OR REPLACE INTO blocks VALUES (?, ?)", (block.height, block.hash))
        sqlite.execute("DELETE FROM blocks WHERE height <= ?", too_old)
        old = sqlite.execute(
            "SELECT scid, txid FROM funding WHERE spent <= ?", (block.height - KEPT_BLOCKS,)
        ).fetchall()
        sqlite.executemany("DELETE FROM funding WHERE scid = ?", [(scid,) for scid, _ in old])
        sqlite.execute("COMMIT")
        for scid, txid in old:
            self._scids.pop(outpoint_of(txid, scid), None)
        self.last = block

    def remember(self, blocks: Iterable[Block]) -> None:
        """The chain below the next block that is taken, after a gap."""
        self._sqlite.execute("BEGIN")
        self._sqlite.execute("DELETE FROM blocks")
        self._sqlite.executemany("INSERT INTO blocks VALUES (?, ?)", [(block.height, block.hash) for block in blocks])
        self._sqlite.execute("COMMIT")

    def hash_at(self, height: int) -> bytes | None:
        """Of a block that was looked at, if it is remembered."""
        row = self._sqlite.execute("SELECT hash FROM blocks WHERE height = ?", (height,)).fetchone()
        return None if row is None else bytes(row[0])

    def spent_above(self, height: int) -> list[int]:
        """Channels whose outputs were spent above this height."""
        return [scid for (scid,) in self._sqlite.execute("SELECT scid FROM funding WHERE spent > ?", (height,))]

    def undo_above(self, block: Block | None, height: int) -> None:
        """What is above this height has not happened. `block` is the one at it, None if that is not remembered."""
        self._sqlite.execute("BEGIN")
        self._sqlite.execute("DELETE FROM blocks WHERE height > ?", (height,))
        self._sqlite.execute("UPDATE funding SET spent = NULL WHERE spent > ?", (height,))
        self._sqlite.execute("COMMIT")
        self.last = block

    def forget(self, scids: Iterable[int]) -> None:
        """Watch these no longer."""
        gone = set(scids)
        self._scids = {outpoint: scid for outpoint, scid in self._scids.items() if scid not in gone}
        self._sqlite.executemany("DELETE FROM funding WHERE scid = ?", [(scid,) for scid in gone])
