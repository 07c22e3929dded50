"""The funding outputs that are watched, and how far the chain has been looked at: in memory, and in the database.

A spent one is kept in the database for KEPT_BLOCKS more, so that a reorganisation can make it unspent again; as many
hashes of blocks are kept, to find where two chains part. What a block changes goes to the disk in one transaction with
the block. An output that a reorganisation has moved counts as spent by the block of its short_channel_id: whatever
undoes that block may bring it back.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from lightningd_py.database import Database
from wire.scid import block_of, output_of
from wire.start.late_dataclass import dataclass

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
        self._database, self._sqlite = database, database.sqlite
        self._scids: dict[Outpoint, int] = {}
        self._added: list[tuple[int, bytes]] = []
        """Watched since `write`, not in the database yet."""
        self._load()
        row = self._ask("SELECT height, hash FROM blocks ORDER BY height DESC LIMIT 1").fetchone()
        self.last: Block | None = Block(*row) if row else None
        """The last block that has been looked at."""
        row = self._ask("SELECT value FROM counters WHERE name = 'look_again_above'").fetchone()
        self.look_again_above: int | None = row[0] if row else None
        """Channels that were funded above this height may be elsewhere since a reorganisation."""

    def _load(self) -> None:
        """The unspent ones."""
        rows = self._ask("SELECT scid, txid FROM funding WHERE spent IS NULL")
        self._scids = {outpoint_of(txid, scid): scid for scid, txid in rows}

    def __len__(self) -> int:
        return len(self._scids)

    def add(self, outputs: Iterable[tuple[int, bytes]]) -> None:
        """Watch these from now on: (scid, txid). They go into the database with `write`, or with whatever is asked or
        changed next: a transaction for each answer of the Bitcoin node was a fifth of what an output costs.
        """
        rows = list(outputs)
        self._scids.update((outpoint_of(txid, scid), scid) for scid, txid in rows)
        self._added += rows

    def write(self) -> None:
        """Put what was added into the database."""
        self._change([])

    def _change(self, change: list[tuple[str, Sequence[Any]]]) -> None:
        """In one transaction, with what was added before."""
        added, self._added = self._added, []
        if added:
            change = [("INSERT OR REPLACE INTO funding VALUES (?, ?, NULL)", added), *change]
        if change:
            self._database.change(change)

    def _ask(self, question: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        self.write()
        return self._sqlite.execute(question, parameters)

    def unwatched(self, scids: Iterable[int]) -> list[int]:
        """Those that are not watched, nor were until they were spent. All others that are watched are let go: `scids`
        is all there is.
        """
        wanted = set(scids)
        rows = self._ask("SELECT scid, spent FROM funding").fetchall()
        gone = [(scid,) for scid, spent in rows if spent is None and scid not in wanted]
        self._change([("DELETE FROM funding WHERE scid = ?", gone)])
        self._load()
        return sorted(wanted - {scid for scid, _ in rows})

    def channels_at(self, outpoint: Outpoint) -> list[int]:
        """The channel whose funding output this is. Two while a reorganisation is looked into: where its transaction
        was and where it is.
        """
        scid = self._scids.get(outpoint)
        if scid is None:
            return []
        if self.look_again_above is None:
            return [scid]
        rows = self._ask("SELECT scid FROM funding WHERE txid = ? AND spent IS NULL", (outpoint[:32],))
        return [scid for (scid,) in rows if outpoint_of(outpoint[:32], scid) == outpoint]

    def outputs(self, above: int = -1) -> list[tuple[int, bytes]]:
        """(scid, txid) of all unspent ones that were funded above this height, in the order of the chain."""
        rows = self._ask("SELECT scid, txid FROM funding WHERE spent IS NULL ORDER BY scid")
        return [(scid, txid) for scid, txid in rows if block_of(scid) > above]

    def take(self, block: Block, spent: Iterable[int]) -> None:
        """This block follows the last one, or any after a gap, and spends these channels' outputs."""
        gone, too_old = set(spent), [(block.height - KEPT_BLOCKS,)]
        self._change(
            [
                ("UPDATE funding SET spent = ? WHERE scid = ?", [(block.height, scid) for scid in gone]),
                ("INSERT OR REPLACE INTO blocks VALUES (?, ?)", [(block.height, block.hash)]),
                ("DELETE FROM blocks WHERE height <= ?", too_old),
                ("DELETE FROM funding WHERE spent <= ?", too_old),
            ]
        )
        if gone:
            self._scids = {outpoint: scid for outpoint, scid in self._scids.items() if scid not in gone}
        self.last = block

    def remember(self, blocks: Iterable[Block]) -> None:
        """The chain below the next block that is taken, after a gap."""
        rows = [(block.height, block.hash) for block in blocks]
        self._change([("DELETE FROM blocks", [()]), ("INSERT INTO blocks VALUES (?, ?)", rows)])

    def remembered(self) -> list[Block]:
        """The blocks that were looked at last, the latest first: KEPT_BLOCKS at most."""
        return [Block(*row) for row in self._ask("SELECT height, hash FROM blocks ORDER BY height DESC")]

    def spent_above(self, height: int) -> list[int]:
        """Channels whose outputs were spent above this height."""
        return [scid for (scid,) in self._ask("SELECT scid FROM funding WHERE spent > ?", (height,))]

    def undo_above(self, block: Block | None) -> None:
        """What is above this block has not happened; None: nothing that is remembered has."""
        height = block.height if block else 0
        above = height if self.look_again_above is None else min(height, self.look_again_above)
        self._change(
            [
                ("DELETE FROM blocks WHERE height > ?", [(height if block else -1,)]),
                ("UPDATE funding SET spent = NULL WHERE spent > ?", [(height,)]),
                ("INSERT OR REPLACE INTO counters VALUES ('look_again_above', ?)", [(above,)]),
            ]
        )
        self._load()
        self.last, self.look_again_above = block, above

    def looked_again(self, moved: Iterable[int]) -> None:
        """At all above `look_again_above`: these are not where they were."""
        places = [(block_of(scid), scid) for scid in moved]
        self._change(
            [
                ("UPDATE funding SET spent = ? WHERE scid = ?", places),
                ("DELETE FROM counters WHERE name = 'look_again_above'", [()]),
            ]
        )
        self._load()
        self.look_again_above = None
