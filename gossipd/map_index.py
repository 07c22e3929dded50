"""The map of the network as arrays of offsets into a gossip_store: 100,000 channel directions without an object each.

A channel is a row in the channel arrays, a node a row in the node arrays; rows of what is gone are used again. The
messages themselves stay in the store. `read_records` fills the index from a store and checks every CRC on the way: it
is the walker that GossipStore.open and Gossmap lead over the file, so a file is read once.
"""

from array import array
from struct import Struct

import google_crc32c

from gossipd.records import (
    CHANNEL_AMOUNT,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_DYING,
    CHANNEL_UPDATE,
    COMPLETED,
    DELETE_CHANNEL,
    DELETED,
    ENDED,
    HEADER_AND_TYPE,
    NODE_ANNOUNCEMENT,
    Buffer,
)

# Where the fields stand in the messages (BOLT 7), each counted from the message's type.
_FEATURES_OF_CHANNEL = 2 + 4 * 64
_SCID_AND_NODES = Struct(">Q33s33s")
_SCID_OF_CHANNEL = _FEATURES_OF_CHANNEL + 2 + 32  # and the features' length
_FEATURES_OF_NODE = 2 + 64
_TIMESTAMP_AND_NODE = Struct(">I33s")
_SCID_OF_UPDATE = 2 + 64 + 32
_UPDATE = Struct(">QIBB")
_U16 = Struct(">H")
_AMOUNT = Struct(">HQ")
_DYING = Struct(">HQI")

_AFTER_NODE_ID = _TIMESTAMP_AND_NODE.size + 3 + 32 + 2
SHORTEST_UPDATE = 138


class MapIndex:
    """Channels and nodes by row. Offsets are those of record headers, 0 means none; amounts in satoshi, -1 unknown.

    Rows: `channels` (scid -> row) with `scid`, `node1`, `node2` (node rows), `announce_off`, `amount_sat`,
    `update_off[direction]`, `update_ts[direction]`; `nodes` (node_id -> row) with `node_ids`, `node_announce_off`,
    `node_ts`, `node_channels` (how many). A free channel row has announce_off 0, a free node row the node_id b"".
    """

    def __init__(self, *, completed: int = COMPLETED, dead_flags: int = DELETED) -> None:
        """The flags are for stores of older versions, see upgrade.py."""
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
        self._completed = completed
        self._dead_flags = dead_flags
        self._free_channels: list[int] = []
        self._free_nodes: list[int] = []
        self._last_row = -1
        self._position = 0
        self._early_nodes: list[int] = []

    def add_channel(self, scid: int, node_id_1: bytes, node_id_2: bytes, offset: int) -> int:
        """A new channel, announced at `offset`; returns its row. The scid must not be known yet."""
        node1, node2 = self._node_row(node_id_1), self._node_row(node_id_2)
        self.node_channels[node1] += 1
        self.node_channels[node2] += 1
        if self._free_channels:
            row = self._free_channels.pop()
            self.scid[row], self.node1[row], self.node2[row], self.announce_off[row] = scid, node1, node2, offset
        else:
            row = len(self.scid)
            self.scid.append(scid)
            self.node1.append(node1)
            self.node2.append(node2)
            self.announce_off.append(offset)
            self.amount_sat.append(-1)
            for direction in (0, 1):
                self.update_off[direction].append(0)
                self.update_ts[direction].append(0)
        self.channels[scid] = row
        return row

    def set_amount(self, row: int, amount_sat: int) -> None:
        """The channel's capacity."""
        self.amount_sat[row] = amount_sat

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
        self.scid[row] = self.announce_off[row] = 0
        self.amount_sat[row] = -1
        for direction in (0, 1):
            self.update_off[direction][row] = self.update_ts[direction][row] = 0
        self._free_channels.append(row)
        return [offset for offset in died if offset]

    def rows_of_node(self, node_row: int) -> list[int]:
        """The channel rows of a node, in no order. Looks at every channel: for listings and the rare case."""
        ends = zip(self.node1, self.node2, self.announce_off, strict=True)
        return [row for row, (one, two, known) in enumerate(ends) if known and node_row in (one, two)]

    def _node_row(self, node_id: bytes) -> int:
        row = self.nodes.get(node_id)
        if row is not None:
            return row
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

    def read_records(self, data: Buffer, start: int, end: int) -> int:
        """Take in the records from start to end, see _read_records. Call `drop_lonely_nodes` after the last part."""
        self._position = self._read_records(data, start, end)
        return self._position

    def drop_lonely_nodes(self) -> None:
        """Forget nodes that were announced without a channel. A channel may stand behind its nodes' announcements when
        an older channel of theirs was deleted, so this waits until the file is read."""
        for row in self._early_nodes:
            if self.node_ids[row] and not self.node_channels[row]:
                self.dead.append(self._remove_node(row))
        self._early_nodes.clear()

    def _read_records(self, data: Buffer, start: int, end: int) -> int:
        """Take in the records from start to end; returns the offset of the first that is not completed or damaged.

        The hot path of opening: one loop, a precompiled struct a kind, no call for updates, the most frequent ones.
        Stops at an `ended` record. A record that says something twice or of a channel that is not there goes to `dead`.
        """
        unpack, unpack_update, crc_of = HEADER_AND_TYPE.unpack_from, _UPDATE.unpack_from, google_crc32c.extend
        completed, dead_flags, dead = self._completed, self._dead_flags, self.dead
        row_of, update_off, update_ts = self.channels.get, self.update_off, self.update_ts
        offset, last = start, end - HEADER_AND_TYPE.size
        self.ended = 0
        if start != self._position:  # behind damage: the announcement that an amount belongs to may be lost
            self._last_row = -1
        while offset <= last:
            flags, length, crc, timestamp, kind = unpack(data, offset)
            following = offset + 12 + length
            if flags & completed != completed or following > end or length < 2:
                return offset
            if flags & dead_flags:
                offset = following
                continue
            message = data[offset + 12 : following]
            if crc_of(timestamp, message) != crc:
                return offset
            if kind == CHANNEL_UPDATE and length >= SHORTEST_UPDATE:
                scid, updated, _, channel_flags = unpack_update(message, _SCID_OF_UPDATE)
                row = row_of(scid)
                if row is not None:
                    direction = channel_flags & 1
                    offsets = update_off[direction]
                    if offsets[row]:
                        dead.append(offsets[row])
                    offsets[row] = offset
                    update_ts[direction][row] = updated
                else:
                    dead.append(offset)
            else:
                self._read_record(kind, message, offset)
                if self.ended:
                    return offset
            offset = following
        return offset

    def _read_record(self, kind: int, message: bytes, offset: int) -> None:
        """Any record but an update."""
        last_row, self._last_row = self._last_row, -1
        if kind == CHANNEL_ANNOUNCEMENT:
            self._read_channel(message, offset)
        elif kind == NODE_ANNOUNCEMENT:
            self._read_node(message, offset)
        elif kind == CHANNEL_AMOUNT and len(message) == _AMOUNT.size:
            if last_row >= 0:  # it belongs to the announcement right before it
                self.amount_sat[last_row] = _AMOUNT.unpack(message)[1]
        elif kind == DELETE_CHANNEL and len(message) == _AMOUNT.size:
            row = self.channels.get(_AMOUNT.unpack(message)[1])
            self.dead += [] if row is None else self.remove_channel(row)
        elif kind == CHANNEL_DYING and len(message) == _DYING.size:
            _, scid, blockheight = _DYING.unpack(message)
            if scid in self.channels:
                self.dead += [self.dying[scid][1]] if scid in self.dying else []
                self.dying[scid] = (blockheight, offset)
            else:
                self.dead.append(offset)
        elif kind == ENDED:
            self.ended = offset
        elif kind == CHANNEL_UPDATE:  # too short
            self.dead.append(offset)

    def _read_channel(self, message: bytes, offset: int) -> None:
        start = _SCID_OF_CHANNEL + _length_at(message, _FEATURES_OF_CHANNEL)
        if start + _SCID_AND_NODES.size > len(message):
            self.dead.append(offset)
            return
        scid, node_id_1, node_id_2 = _SCID_AND_NODES.unpack_from(message, start)
        if scid in self.channels:
            self.dead.append(offset)
        else:
            self._last_row = self.add_channel(scid, node_id_1, node_id_2, offset)

    def _read_node(self, message: bytes, offset: int) -> None:
        start = _FEATURES_OF_NODE + 2 + _length_at(message, _FEATURES_OF_NODE)
        if start + _AFTER_NODE_ID > len(message):
            self.dead.append(offset)
            return
        timestamp, node_id = _TIMESTAMP_AND_NODE.unpack_from(message, start)
        row = self.nodes.get(node_id)
        if row is None:
            row = self._node_row(node_id)
            self._early_nodes.append(row)
        old = self.set_node_announcement(row, offset, timestamp)
        self.dead += [old] if old else []


def _length_at(message: bytes, place: int) -> int:
    """The u16 there; more than any message holds if it is cut off."""
    return int(_U16.unpack_from(message, place)[0]) if len(message) >= place + 2 else 0x10000
