"""The checksums of all channel_updates, in arrays beside those of the index: made when they are first asked for.

One is of use for as long as its row has the same channel, with an update of the same timestamp. BOLT 7, checksums_tlv.
"""

import sys
from array import array
from collections.abc import Iterable

import google_crc32c

from gossipd.map.index import MapIndex
from gossipd.store.writer import GossipStore
from wire.gossip_layout import update_content


class Checksums:
    """By row and direction."""

    def __init__(self, index: MapIndex, store: GossipStore) -> None:
        self._index = index
        self._store = store
        self._scids = array("Q")
        self._timestamps = (array("I"), array("I"))
        """Of the updates whose checksums are known, 0 for none."""
        self._sums = (array("I"), array("I"))
        self.made = 0
        """How many since the start."""

    def of_rows(self, rows: Iterable[int], most: int = sys.maxsize) -> list[tuple[int, int]]:
        """Those of both directions, 0 where there is no update: of the first rows only, if `most` had to be made."""
        self._grow()
        end = self.made + most
        index, scids, (stamps_1, stamps_2), (sums_1, sums_2) = self._index, self._scids, self._timestamps, self._sums
        now_1, now_2 = index.update_ts  # written out: it is the hot path
        found = []
        for row in rows:
            if scids[row] != index.scid[row]:
                scids[row] = index.scid[row]
                stamps_1[row] = stamps_2[row] = sums_1[row] = sums_2[row] = 0
            if self.made >= end:
                break
            found.append(
                (
                    sums_1[row] if stamps_1[row] == now_1[row] else self._make(row, 0),
                    sums_2[row] if stamps_2[row] == now_2[row] else self._make(row, 1),
                )
            )
        return found

    def of(self, row: int, direction: int) -> int:
        """That of one update."""
        return self.of_rows([row])[0][direction]

    def _make(self, row: int, direction: int) -> int:
        offset = self._index.update_off[direction][row]
        made = checksum(self._store.read(offset)) if offset else 0
        self.made += 1
        self._sums[direction][row] = made
        self._timestamps[direction][row] = self._index.update_ts[direction][row]
        return made

    def _grow(self) -> None:
        missing = len(self._index.scid) - len(self._scids)
        for column in (self._scids, *self._timestamps, *self._sums) if missing else ():
            column.frombytes(bytes(missing * column.itemsize))


def checksum(update: bytes) -> int:
    """CRC-32C of a channel_update without its signature and timestamp. BOLT 7, reply_channel_range."""
    return int(google_crc32c.value(update_content(update)))
