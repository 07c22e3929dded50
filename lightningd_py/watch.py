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
        row = self._sqlite.execute("SELECT value FROM counters WHERE name = 'look_again_above'").fetchone()
        self.look_again_above: int | None = row[0] if row else None
        """Channels that were funded above this height may be elsewhere since a reorganisation."""

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
        """(scid, txid) of all unspent ones that were funded above this height, in the order of the chain."""
        spent = {scid for (scid,) in self._sqlite.execute("SELECT scid FROM funding WHERE spent IS NOT NULL")}
        return sorted(
            (scid, outpoint[:32])
            for outpoint, scid in self._scids.items()
            if block_of(scid) > above and scid not in spent
        )

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

    def remembered(self) -> list[Block]:
        """The blocks that were looked at last, the latest first: KEPT_BLOCKS at most."""
        return [Block(*row) for row in self._sqlite.execute("SELECT height, hash FROM blocks ORDER BY height DESC")]

    def spent_above(self, height: int) -> list[int]:
        """Channels whose outputs were spent above this height."""
        return [scid for (scid,) in self._sqlite.execute("SELECT scid FROM funding WHERE spent > ?", (height,))]

    def undo_above(self, block: Block | None) -> None:
        """What is above this block has not happened; None: nothing that is remembered has."""
        height = block.height if block else 0
        above = height if self.look_again_above is None else min(height, self.look_again_above)
        self._sqlite.execute("BEGIN")
        self._sqlite.execute("DELETE FROM blocks WHERE height > ?", (height if block else -1,))
        self._sqlite.execute("UPDATE funding SET spent = NULL WHERE spent > ?", (height,))
        self._sqlite.execute("INSERT OR REPLACE INTO counters VALUES ('look_again_above', ?)", (above,))
        self._sqlite.execute("COMMIT")
        self.last, self.look_again_above = block, above

    def looked_again(self, moved: Iterable[int]) -> None:
        """At all above `look_again_above`: these are not to be watched any longer."""
        gone = set(moved)
        self._scids = {outpoint: scid for outpoint, scid in self._scids.items() if scid not in gone}
        self._sqlite.execute("BEGIN")
        self._sqlite.executemany("DELETE FROM funding WHERE scid = ?", [(scid,) for scid in gone])
        self._sqlite.execute("DELETE FROM counters WHERE name = 'look_again_above'")
        self._sqlite.execute("COMMIT")
        self.look_again_above = None
