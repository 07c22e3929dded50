"""Runs of records of one shape, taken into an index column by column: nine tenths of a store that a sync has filled.

An announcement without features is followed by its amount and often by both updates, and updates stand by hundreds;
each has a fixed size. So many records are unpacked by one `Struct.iter_unpack`, their CRCs are compared by one `map`,
and whole columns go into the index's arrays. Measured: 0.55 µs a record instead of 1.1. Whatever is not just so, be it
damage, a flag, or a channel that is known, is left to `MapIndex`'s loop, which takes one record at a time and is the
oracle in tests.
"""

from array import array
from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple, Protocol

from gossipd.store.records import CHANNEL_AMOUNT, COMPLETED, HEADER_SIZE, NUMBER_MESSAGE, Buffer, crc_of
from wire.gossip_layout import (
    BODY_KEYS,
    BODY_SCID,
    BODY_SIZE,
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_FEATURES,
    CHANNEL_SIGNED,
    CHANNEL_UPDATE,
    DIRECTION,
    KEY_SIZE,
    UPDATE_CHANNEL_FLAGS,
    UPDATE_MESSAGE_FLAGS,
    UPDATE_SCID,
    UPDATE_SIZE,
    UPDATE_TIMESTAMP,
)

FEWEST, MOST = 8, 256
"""Repetitions that are tried at a time: more with each success, and no more than a processor's cache holds (of 1,024
each costs a sixth more)."""
MOST_SKIPPED = 1 << 16
"""Bytes that are read record by record before the next try: more with each failure."""

_MOST_SAT = (1 << 56) - 1
"""7 bytes are above all bitcoin."""

Columns = Sequence[tuple[Any, ...]]


class Index(Protocol):
    """MapIndex, as far as it is filled here."""

    channels: dict[int, int]
    scid: "array[int]"
    node1: "array[int]"
    node2: "array[int]"
    announce_off: "array[int]"
    amount_sat: "array[int]"
    update_off: tuple["array[int]", "array[int]"]
    update_ts: tuple["array[int]", "array[int]"]
    nodes: dict[bytes, int]
    node_ids: list[bytes]
    node_channels: "array[int]"
    dead: list[int]

    def node_columns(self) -> tuple["array[int]", ...]:
        """What is known of nodes, row by row."""


class _Part(NamedTuple):
    """A record of a shape. `size` is that of its message, `fields` how that is unpacked, with pads."""

    size: int
    fields: str
    width: int
    """How many fields;"""
    expected: tuple[int, ...]
    """and what the first of them must be."""


_SCID_TO_KEYS = BODY_KEYS + 2 * KEY_SIZE
_CHANNEL = _Part(
    CHANNEL_FEATURES + BODY_SIZE,
    f"H{CHANNEL_SIGNED - 2}xH{BODY_SCID}xQ{KEY_SIZE}s{KEY_SIZE}s{BODY_SIZE - _SCID_TO_KEYS}x",
    5,
    (CHANNEL_ANNOUNCEMENT, 0),
)
_AMOUNT = _Part(NUMBER_MESSAGE.size, "HQ", 2, (CHANNEL_AMOUNT,))
_UPDATE = _Part(
    UPDATE_SIZE,
    f"H{UPDATE_SCID - 2}xQIxB{UPDATE_SIZE - UPDATE_CHANNEL_FLAGS - 1}x",
    4,
    (CHANNEL_UPDATE,),
)
assert UPDATE_TIMESTAMP == UPDATE_SCID + 8 and UPDATE_CHANNEL_FLAGS == UPDATE_MESSAGE_FLAGS + 1


class _Shape:
    """Some records one after the other."""

    def __init__(self, *parts: _Part) -> None:
        self.parts = parts
        self.records = Struct(">" + "".join(f"HHII{part.size}s" for part in parts))
        """Flags, length, CRC, timestamp and message of each."""
        self.messages = Struct(">" + "".join(f"{HEADER_SIZE}x{part.fields}" for part in parts))
        self.size = self.records.size
        assert self.messages.size == self.size

    def take(self, data: bytes) -> tuple[int, list[Columns]]:
        """How many repetitions `data`, a multiple of the size, begins with, and the fields of each part in columns."""
        records = list(zip(*self.records.iter_unpack(data), strict=True))
        good = len(records[0])
        for number, part in enumerate(self.parts):
            flags, lengths, crcs, timestamps, messages = records[5 * number : 5 * number + 5]
            good = min(good, _until(flags, COMPLETED), _until(lengths, part.size))
            found = list(map(crc_of, timestamps, messages))
            if found != [*crcs]:
                good = min(good, next(at for at, crc in enumerate(found) if crc != crcs[at]))
        columns = list(zip(*self.messages.iter_unpack(data), strict=True))
        parts: list[Columns] = []
        for part in self.parts:
            mine, columns = columns[: part.width], columns[part.width :]
            for column, expected in zip(mine, part.expected, strict=False):
                good = min(good, _until(column, expected))
            parts.append(mine[len(part.expected) :])
        return good, parts


def _until(column: tuple[int, ...], expected: int) -> int:
    """How many values are as expected before the first that is not."""
    if column.count(expected) == len(column):
        return len(column)
    return next(at for at, value in enumerate(column) if value != expected)


_WHOLE, _BARE, _NEWS = _Shape(_CHANNEL, _AMOUNT, _UPDATE, _UPDATE), _Shape(_CHANNEL, _AMOUNT), _Shape(_UPDATE)
_SHAPES = {
    CHANNEL_ANNOUNCEMENT.to_bytes(2, "big"): (_WHOLE, _BARE),
    CHANNEL_UPDATE.to_bytes(2, "big"): (_NEWS,),
}


class NewChannels(NamedTuple):
    """Columns of channels that none of them knows yet."""

    scids: Sequence[int]
    node_ids_1: Sequence[bytes]
    node_ids_2: Sequence[bytes]
    offsets: Sequence[int]
    amounts: Sequence[int]

    def add_to(self, index: Index) -> int | None:
        """In rows of their own; the last row. None, and nothing is done, if one is known, or stands here twice."""
        count, nodes, first = len(self.scids), index.nodes, len(index.scid)
        channels = dict(zip(self.scids, range(first, first + count), strict=True))
        if len(channels) < count or not index.channels.keys().isdisjoint(channels):
            return None
        _add_nodes(index, [each for each in dict.fromkeys((*self.node_ids_1, *self.node_ids_2)) if each not in nodes])
        for column, node_ids in ((index.node1, self.node_ids_1), (index.node2, self.node_ids_2)):
            column.extend(map(nodes.__getitem__, node_ids))
            for node in column[first:]:
                index.node_channels[node] += 1
        index.scid.extend(self.scids)
        index.announce_off.extend(self.offsets)
        index.amount_sat.extend(self.amounts)
        for column in (*index.update_off, *index.update_ts):
            column.frombytes(bytes(count * column.itemsize))
        index.channels |= channels
        return first + count - 1


def _add_nodes(index: Index, node_ids: list[bytes]) -> None:
    first, count = len(index.node_ids), len(node_ids)
    index.nodes.update(zip(node_ids, range(first, first + count), strict=True))
    index.node_ids += node_ids
    for column in index.node_columns():
        column.frombytes(bytes(count * column.itemsize))


class RegularReader:
    """Takes runs of one shape into an index that is being filled."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._tries = dict.fromkeys((_WHOLE, _BARE, _NEWS), FEWEST)
        self._skip = 0
        """Bytes that were not tried after the last failure."""

    def read(self, data: Buffer, start: int, end: int, announced: int) -> tuple[int, int, int]:
        """Take in what is regular from `start` on. Returns where that ends, up to where record by record is to be read
        before the next try, and the row announced last: `announced`, unless another one was."""
        offset = start
        while (shapes := _SHAPES.get(data[offset + HEADER_SIZE : offset + HEADER_SIZE + 2])) is not None:
            for shape in shapes:
                taken, row = self._take(shape, data, offset, end)
                if taken:
                    break
            else:
                break
            offset += taken
            announced = announced if row is None else row
        self._skip = 0 if offset > start else min(2 * self._skip + 1, MOST_SKIPPED)
        return offset, min(end, offset + self._skip), announced

    def _take(self, shape: _Shape, data: Buffer, offset: int, end: int) -> tuple[int, int | None]:
        """Bytes of one run that were taken in, and the row announced last, if any."""
        tries, row = min(self._tries[shape], (end - offset) // shape.size), None
        good, parts = shape.take(data[offset : offset + tries * shape.size]) if tries else (0, [])
        if good and shape is _NEWS:
            self._news(parts[0], range(offset, offset + good * shape.size, shape.size))
        elif good:
            good, row = self._channels(shape, parts, offset, good)
        self._tries[shape] = min(2 * tries, MOST) if good and good == tries else FEWEST
        return good * shape.size, row

    def _channels(self, shape: _Shape, parts: list[Columns], offset: int, good: int) -> tuple[int, int | None]:
        """New channels, each with its amount and, if that is the shape, with updates of its own."""
        (scids, one, two), (amounts,), *updates = parts
        for own, _, _ in updates:
            if own[:good] != scids[:good]:
                good = next(at for at in range(good) if own[at] != scids[at])
        offsets = range(offset, offset + good * shape.size, shape.size)
        known = [amount & _MOST_SAT for amount in amounts[:good]]
        last = NewChannels(scids[:good], one[:good], two[:good], offsets, known).add_to(self._index) if good else None
        if last is None:
            return 0, None
        for number, columns in enumerate(updates):
            ahead = _BARE.size + number * _NEWS.size
            self._first_news(last, columns, range(offset + ahead, offset + good * shape.size, shape.size))
        return good, last

    def _first_news(self, last: int, columns: Columns, offsets: range) -> None:
        """An update of each of the last rows, mostly of the same direction, of which there was none."""
        _, timestamps, flags = columns
        directions = {flag & DIRECTION for flag in set(flags)}
        rows = slice(last + 1 - len(offsets), last + 1)
        direction = directions.pop()
        if directions or any(self._index.update_off[direction][rows]):
            self._news(columns, offsets)
            return
        self._index.update_off[direction][rows] = array("Q", offsets)
        self._index.update_ts[direction][rows] = array("L", timestamps[: len(offsets)])

    def _news(self, columns: Columns, offsets: range) -> None:
        """Updates, as many as there are offsets."""
        index = self._index
        row_of, update_off, update_ts, dead = index.channels.get, index.update_off, index.update_ts, index.dead
        for offset, scid, timestamp, channel_flags in zip(offsets, *columns, strict=False):
            row = row_of(scid, -1)
            if row >= 0:
                of_direction = update_off[channel_flags & DIRECTION]
                if of_direction[row]:
                    dead.append(of_direction[row])
                of_direction[row] = offset
                update_ts[channel_flags & DIRECTION][row] = timestamp
            else:
                dead.append(offset)
