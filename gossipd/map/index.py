"""The map of the network as arrays of offsets into a gossip_store: 100,000 channel directions without an object each.

A channel is a row in the channel arrays, a node a row in the node arrays; rows of what is gone are used again. The
messages themselves stay in the store. `read_records` fills the index from a store and checks every CRC on the way: it
is the walker that GossipStore.open and Gossmap lead over the file, so a file is read once.
"""

import struct
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable

from gossipd.map.regular import RegularReader
from gossipd.store.records import (
    CHANNEL_AMOUNT,
    CHANNEL_DYING,
    COMPLETED,
    DELETE_CHANNEL,
    DELETED,
    DYING_MESSAGE,
    ENDED,
    HEADER_AND_TYPE,
    HEADER_SIZE,
    NUMBER_MESSAGE,
    Buffer,
    crc_of,
)
from wire.gossip_layout import (
    BODY_SCID,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    DIRECTION,
    NODE_ANNOUNCEMENT,
    SCID_AND_NODES,
    TIMESTAMP_AND_NODE,
    UPDATE_NEWS,
    UPDATE_SCID,
    UPDATE_SIZE,
    channel_body,
    node_body,
)

Reader = Callable[[bytes, int], int]
"""Takes in the message of a record and its offset; returns the row of the channel that it announces, or -1."""

MOST_UNSORTED, FEW = 1_000, 32
"""Channels that have come or gone and are not in their place yet; so many are put there one by one."""
UNSORTED_PART = 16
"""So manyth a part of a large map may be unsorted, too: else a first sync would sort it for each thousand channels."""


class MapIndex:
    """Channels and nodes by row. Offsets are those of record headers, 0 means none; amounts in satoshi, -1 unknown.

    Rows: `channels` (scid -> row) with `scid`, `node1`, `node2` (node rows), `announce_off`, `amount_sat`,
    `update_off[direction]`, `update_ts[direction]`; `nodes` (node_id -> row) with `node_ids`, `node_announce_off`,
    `node_ts`, `node_channels` (how many). A free channel row has announce_off 0, a free node row the node_id b"".
    """

    def __init__(
        self, *, completed: int = COMPLETED, dead_flags: int = DELETED, shortest_update: int = UPDATE_SIZE
    ) -> None:
        """The flags, and updates that are shorter, are for stores of older versions, see upgrade.py."""
        self.channels: dict[int, int] = {}
        self.scid = array("Q")
        self.node1 = array("L")
        self.node2 = array("L")
        self.announce_off = array("Q")
        self.amount_sat = array("q")
        self.update_off = (array("Q"), array("Q"))
        self.update_ts = (array("L"), array("L"))
        self.nodes: dict[bytes, int] = {}
        self.node_ids: list[bytes] = []
        self.node_announce_off = array("Q")
        self.node_ts = array("L")
        self.node_channels = array("L")
        self.dying: dict[int, tuple[int, int]] = {}
        """scid -> (blockheight at which it is to be forgotten, offset of the chan_dying record)."""
        self.dead: list[int] = []
        """Offsets of records that read_records found to be of no use any more, though not marked deleted."""
        self.ended: int = 0
        """Offset of the record that says that the file was replaced by another one."""
        self.passed_over: int = 0
        """Bytes of the records that read_records found marked deleted, or that are notes to followers."""
        self._completed = completed
        self._dead_flags = dead_flags
        self._shortest_update = shortest_update
        is_usual = (completed, dead_flags, shortest_update) == (COMPLETED, DELETED, UPDATE_SIZE)
        self._regular = RegularReader(self) if is_usual else None
        self._sorted: list[int] | None = None
        self._unsorted: set[int] = set()
        """Channels that have come or gone since they were sorted."""
        self._free_channels: list[int] = []
        self._free_nodes: list[int] = []
        self._announced = -1
        self._position = 0
        self._early_nodes: list[int] = []

    def add_channel(self, scid: int, node_id_1: bytes, node_id_2: bytes, offset: int) -> int:
        """A new channel, announced at `offset`; returns its row. The scid must not be known yet."""
        nodes, node_channels, free = self.nodes, self.node_channels, self._free_channels
        node1 = nodes[node_id_1] if node_id_1 in nodes else self._add_node(node_id_1)
        node2 = nodes[node_id_2] if node_id_2 in nodes else self._add_node(node_id_2)
        node_channels[node1] += 1
        node_channels[node2] += 1
        if not free:
            self._add_free_channels(max(64, len(self.scid) // 4))
        row = free.pop()
        self.scid[row] = scid
        self.node1[row] = node1
        self.node2[row] = node2
        self.announce_off[row] = offset
        self.channels[scid] = row
        if self._sorted is not None:
            self._note_unsorted(scid)
        return row

    def set_update(self, row: int, direction: int, offset: int, timestamp: int) -> int:
        """The newest update of one direction; returns the offset of the one it replaces, or 0."""
        offsets = self.update_off[direction]
        old, offsets[row] = offsets[row], offset
        self.update_ts[direction][row] = timestamp
        return old

    def set_node_announcement(self, node_row: int, offset: int, timestamp: int) -> int:
        """The newest announcement of a node; returns the offset of the one it replaces, or 0."""
        old, self.node_announce_off[node_row] = self.node_announce_off[node_row], offset
        self.node_ts[node_row] = timestamp
        return old

    def remove_channel(self, row: int) -> list[int]:
        """Forget a channel, and its nodes if it was their last one. Returns the offsets of the records that died by it:
        announcement, updates, chan_dying, node_announcements."""
        scid = self.scid[row]
        died = [self.announce_off[row], self.update_off[0][row], self.update_off[1][row]]
        died.append(self.dying.pop(scid, (0, 0))[1])
        for node in (self.node1[row], self.node2[row]):
            self.node_channels[node] -= 1
            if not self.node_channels[node]:
                died.append(self._remove_node(node))
        del self.channels[scid]
        if self._sorted is not None:
            self._note_unsorted(scid)
        self.scid[row] = self.announce_off[row] = 0
        self.amount_sat[row] = -1
        for direction in (0, 1):
            self.update_off[direction][row] = self.update_ts[direction][row] = 0
        self._free_channels.append(row)
        return [offset for offset in died if offset]

    def sorted_scids(self) -> list[int]:
        """Those of all channels, ascending. Not to be changed, nor kept: the next change of the map changes it.

        Sorted once; after that only what has come and gone is put in its place.
        """
        if self._sorted is None:
            self._sorted = sorted(self.channels)
        elif self._unsorted:
            self._sort(self._sorted)
        return self._sorted

    def _note_unsorted(self, scid: int) -> None:
        self._unsorted.add(scid)
        unsorted = len(self._unsorted)
        if unsorted >= MOST_UNSORTED and unsorted * UNSORTED_PART >= len(self.channels):
            self.sorted_scids()

    def _sort(self, scids: list[int]) -> None:
        """Put a few in one by one, more with a pass over all: 1 ms for 50,000."""
        changed, self._unsorted = self._unsorted, set()
        places = [(scid, bisect_left(scids, scid)) for scid in changed]
        known = {scid for scid, place in places if place < len(scids) and scids[place] == scid}
        came, gone = changed.intersection(self.channels) - known, known.difference(self.channels)
        if len(came) + len(gone) <= FEW:
            for scid in gone:
                del scids[bisect_left(scids, scid)]
            for scid in came:
                insort(scids, scid)
            return
        if gone:
            scids[:] = [scid for scid in scids if scid not in gone]
        scids += came
        scids.sort()

    def rows_of_node(self, node_row: int) -> list[int]:
        """The channel rows of a node, in no order. Looks at every channel: for listings and the rare case."""
        ends = zip(self.node1, self.node2, self.announce_off, strict=True)
        return [row for row, (one, two, known) in enumerate(ends) if known and node_row in (one, two)]

    def _add_free_channels(self, count: int) -> None:
        """More rows at once: setting four fields of a row costs a third of appending to eight arrays."""
        first = len(self.scid)
        for column in (self.scid, self.node1, self.node2, self.announce_off, *self.update_off, *self.update_ts):
            column.frombytes(bytes(count * column.itemsize))
        self.amount_sat.extend([-1] * count)
        self._free_channels.extend(range(first + count - 1, first - 1, -1))

    def _add_node(self, node_id: bytes) -> int:
        if self._free_nodes:
            row = self._free_nodes.pop()
            self.node_ids[row] = node_id
        else:
            row = len(self.node_ids)
            self.node_ids.append(node_id)
            self.node_announce_off.append(0)
            self.node_ts.append(0)
            self.node_channels.append(0)
        self.nodes[node_id] = row
        return row

    def _remove_node(self, row: int) -> int:
        """Forget a node without channels; returns the offset of its announcement, or 0."""
        del self.nodes[self.node_ids[row]]
        offset = self.node_announce_off[row]
        self.node_ids[row] = b""
        self.node_announce_off[row] = self.node_ts[row] = 0
        self._free_nodes.append(row)
        return offset

    def drop_lonely_nodes(self) -> None:
        """Forget nodes that were announced without a channel. A channel may stand behind its nodes' announcements when
        an older channel of theirs was deleted, so this waits until the file is read."""
        for row in self._early_nodes:
            if self.node_ids[row] and not self.node_channels[row]:
                self.dead.append(self._remove_node(row))
        self._early_nodes.clear()

    def offset_columns(self) -> tuple["array[int]", ...]:
        """All arrays of offsets, for who moves the records. There are offsets in `dying` besides."""
        return self.announce_off, *self.update_off, self.node_announce_off

    def channel_columns(self) -> tuple["array[int]", ...]:
        """What is known of channels, row by row."""
        return self.scid, self.node1, self.node2, self.announce_off, self.amount_sat, *self.update_off, *self.update_ts

    def node_columns(self) -> tuple["array[int]", ...]:
        """What is known of nodes, row by row; their ids are in `node_ids`."""
        return self.node_announce_off, self.node_ts, self.node_channels

    def rows_restored(self) -> None:
        """The columns, `node_ids` and `dying` of an empty index were filled: find out what follows from them."""
        used = self.announce_off
        self.channels = {scid: row for row, scid in enumerate(self.scid) if used[row]}
        self.nodes = {node_id: row for row, node_id in enumerate(self.node_ids) if node_id}
        self._free_channels = [row for row, offset in enumerate(used) if not offset][::-1]
        self._free_nodes = [row for row, node_id in enumerate(self.node_ids) if not node_id]

    def read_records(self, data: Buffer, start: int, end: int) -> int:
        """Take in the records from start to end; call `drop_lonely_nodes` when the last part of a file is read.

        Returns the offset of the first record that is not completed or damaged, or of an `ended` record.
        A record that says something twice, or of a channel that is not there, goes to `dead`.
        """
        # The row of the announcement right before, to which an amount belongs; behind damage it may be lost.
        announced = self._announced if start == self._position else -1
        self.ended = 0
        offset, until, read = start, end, -1
        regular = self._regular if self._sorted is None else None  # else each channel is to be put in its place
        while offset < end and offset != read and not self.ended:
            if regular is not None:
                offset, until, announced = regular.read(data, offset, end, announced)
            read = offset
            offset, announced = self._read_run(data, offset, end, announced, until)
        self._position, self._announced = offset, announced
        return offset

    def _read_run(self, data: Buffer, start: int, end: int, announced: int, until: int) -> tuple[int, int]:
        """Record by record, at least one, and all that begin before `until`: one loop, a precompiled struct a kind, and
        a call only for what is neither an update nor an amount. Returns where it stopped, and the row announced last,
        if any."""
        unpack, unpack_update, crc_of_record = HEADER_AND_TYPE.unpack_from, UPDATE_NEWS.unpack_from, crc_of
        completed, live_mask, dead = self._completed, self._completed | self._dead_flags, self.dead
        row_of, update_off, update_ts = self.channels.get, self.update_off, self.update_ts
        shortest_update, reader_of = self._shortest_update, self._readers().get
        amount_sat, offset = self.amount_sat, start
        last = min(end - HEADER_AND_TYPE.size, max(start, until - 1))
        while offset <= last:
            flags, length, crc, timestamp, kind = unpack(data, offset)
            following = offset + HEADER_SIZE + length
            if following > end:
                break
            if flags & live_mask == completed:
                message = data[offset + HEADER_SIZE : following]
                if crc_of_record(timestamp, message) != crc:
                    break
                if kind == CHANNEL_UPDATE and length >= shortest_update:
                    scid, updated, _, channel_flags = unpack_update(message, UPDATE_SCID)
                    row = row_of(scid, -1)
                    if row >= 0:
                        offsets = update_off[channel_flags & DIRECTION]
                        if offsets[row]:
                            dead.append(offsets[row])
                        offsets[row] = offset
                        update_ts[channel_flags & DIRECTION][row] = updated
                    else:
                        dead.append(offset)
                elif kind == CHANNEL_AMOUNT and length == NUMBER_MESSAGE.size:
                    if announced < 0:
                        dead.append(offset)
                    else:
                        amount_sat[announced] = int.from_bytes(message[3:], "big")  # 7 bytes are above all bitcoin
                elif kind == ENDED:
                    self.ended = offset
                    break
                elif (reader := reader_of(kind)) is not None:
                    announced = reader(message, offset)
                else:
                    announced = -1
            elif flags & completed != completed:
                break
            else:
                self.passed_over += following - offset
                announced = -1
            offset = following
        return offset, announced

    def _readers(self) -> dict[int, Reader]:
        """What is less frequent, by type."""
        return {
            CHANNEL_ANNOUNCEMENT: self._read_channel,
            NODE_ANNOUNCEMENT: self._read_node,
            CHANNEL_UPDATE: self._read_short,
            DELETE_CHANNEL: self._read_deletion,
            CHANNEL_DYING: self._read_dying,
        }

    def _read_short(self, message: bytes, offset: int) -> int:
        """Gossip that is cut within what the map has of it."""
        self.dead.append(offset)
        return -1

    def _read_deletion(self, message: bytes, offset: int) -> int:
        if len(message) == NUMBER_MESSAGE.size:
            self.passed_over += HEADER_SIZE + len(message)
            row = self.channels.get(NUMBER_MESSAGE.unpack(message)[1])
            self.dead += [] if row is None else self.remove_channel(row)
        return -1

    def _read_dying(self, message: bytes, offset: int) -> int:
        if len(message) == DYING_MESSAGE.size:
            _, scid, blockheight = DYING_MESSAGE.unpack(message)
            if scid in self.channels:
                self.dead += [self.dying[scid][1]] if scid in self.dying else []
                self.dying[scid] = (blockheight, offset)
            else:
                self.dead.append(offset)
        return -1

    def _read_channel(self, message: bytes, offset: int) -> int:
        try:
            scid, node_id_1, node_id_2 = SCID_AND_NODES.unpack_from(message, channel_body(message) + BODY_SCID)
        except (struct.error, IndexError):
            return self._read_short(message, offset)
        if scid in self.channels:
            return self._read_channel_again(self.channels[scid], node_id_1, node_id_2, offset)
        return self.add_channel(scid, node_id_1, node_id_2, offset)

    def _read_channel_again(self, row: int, node_id_1: bytes, node_id_2: bytes, offset: int) -> int:
        """The second announcement takes over only before the first update: gossipd brings one forward that way."""
        known = (self.node_ids[self.node1[row]], self.node_ids[self.node2[row]]) == (node_id_1, node_id_2)
        if not known or self.update_off[0][row] or self.update_off[1][row]:
            self.dead.append(offset)
            return -1
        self.dead.append(self.announce_off[row])
        self.announce_off[row] = offset
        return row

    def _read_node(self, message: bytes, offset: int) -> int:
        try:
            timestamp, node_id = TIMESTAMP_AND_NODE.unpack_from(message, node_body(message))
        except (struct.error, IndexError):
            return self._read_short(message, offset)
        row = self.nodes.get(node_id)
        if row is None:
            row = self._add_node(node_id)
            self._early_nodes.append(row)
        if self.node_announce_off[row]:
            self.dead.append(self.node_announce_off[row])
        self.node_announce_off[row] = offset
        self.node_ts[row] = timestamp
        return -1
