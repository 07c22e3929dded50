"""The format of CLN's gossip_store: its version byte, its records, and how to walk over them, damaged ones included.

A file is one version byte and then records: a 12-byte big-endian header (flags u16, length u16, CRC-32C u32,
timestamp u32) and a message that begins with its 2-byte type. The CRC is over the message and starts from the
timestamp. Gossip is stored as it came from the wire; the types from 4101 on are the store's own.
An offset is always that of a record's header. Everything here is a function of bytes; files are opened in store.py
and gossmap.py.
"""

import mmap
import re
from collections.abc import Callable, Iterator
from dataclasses import field
from struct import Struct

import google_crc32c

from wire.start.late_dataclass import dataclass

Buffer = bytes | mmap.mmap
"""A store's content. Slices of either are bytes, which is what the CRC wants."""

VERSION = 16
OLDEST_VERSION = 9
OLDEST_WITH_COMPLETED = 15

DELETED = 0x8000
COMPLETED = 0x2000
DYING = 0x0800
ZOMBIE = 0x1000
"""A flag of versions up to 13."""

CHANNEL_AMOUNT = 4101
PRIVATE_UPDATE = 4102
DELETE_CHANNEL = 4103
PRIVATE_CHANNEL = 4104
ENDED = 4105
CHANNEL_DYING = 4106
UUID = 4107

HEADER = Struct(">HHII")
HEADER_AND_TYPE = Struct(">HHIIH")
HEADER_SIZE = HEADER.size
SMALLEST_RECORD = HEADER_AND_TYPE.size
FIRST_RECORD = 1
BEGINNING_SIZE = FIRST_RECORD + HEADER_SIZE + 2 + 32
"""The version byte and the uuid record that every file of version 16 begins with."""

NUMBER_MESSAGE = Struct(">HQ")
"""channel_amount and delete_chan: type, and satoshi or short_channel_id."""
DYING_MESSAGE = Struct(">HQI")
"""chan_dying: type, short_channel_id, blockheight."""
_ENDED = Struct(">HQ32s")

LONGEST_BATCH = 1 << 18
"""Bytes that a writer's crash may leave unfinished: what is longer was completed once, and lost a bit."""

Walker = Callable[[Buffer, int, int], int]
"""Takes records from start to end, one after the other; returns the offset of the first that it cannot take, or end."""

_PLAUSIBLE = re.compile(rb"[\x20\x28\x60\x68\xa0\xa8\xe0\xe8]\x00.{10}(?:\x01[\x00-\x02]|\x10[\x05-\x0b])", re.DOTALL)
"""Beginnings of a completed record of a known type: a cheap sieve before the CRC decides."""


crc_of: Callable[[int, bytes], int] = google_crc32c.extend
"""The CRC-32C of a record: gets its timestamp, from which it starts, and its message."""


def pack_record(message: bytes, timestamp: int, flags: int = COMPLETED) -> bytes:
    """Header and message."""
    return HEADER.pack(flags, len(message), crc_of(timestamp, message), timestamp) + message


def beginning(uuid: bytes) -> bytes:
    """The beginning of a new file of version 16. `uuid` is 32 random bytes."""
    return bytes([VERSION]) + pack_record(UUID.to_bytes(2, "big") + uuid, 0)


def uuid_of(data: Buffer) -> bytes:
    """The file's uuid, 32 bytes, or b"" if the first record is none (older than version 16, or damaged)."""
    if len(data) < BEGINNING_SIZE or check_records(data, FIRST_RECORD, BEGINNING_SIZE) != BEGINNING_SIZE:
        return b""
    message = data[FIRST_RECORD + HEADER_SIZE : BEGINNING_SIZE]
    return message[2:] if message[:2] == UUID.to_bytes(2, "big") else b""


def amount_message(amount_sat: int) -> bytes:
    """channel_amount: the capacity in satoshi, stored right after its channel_announcement."""
    return NUMBER_MESSAGE.pack(CHANNEL_AMOUNT, amount_sat)


def delete_channel_message(short_channel_id: int) -> bytes:
    """delete_chan: tells followers that a channel is gone (they do not see a flag set behind them)."""
    return NUMBER_MESSAGE.pack(DELETE_CHANNEL, short_channel_id)


def dying_message(short_channel_id: int, blockheight: int) -> bytes:
    """chan_dying: the channel's output is spent, to be forgotten at that blockheight."""
    return DYING_MESSAGE.pack(CHANNEL_DYING, short_channel_id, blockheight)


def ended_message(equivalent_offset: int, uuid: bytes) -> bytes:
    """ended: the last record of a file that was replaced; the new file's uuid and the size it had then."""
    return _ENDED.pack(ENDED, equivalent_offset, uuid)


def parse_ended(message: bytes) -> tuple[int, bytes]:
    """(equivalent_offset, uuid) of an ended record; before version 16 it has no uuid, then that is b""."""
    return int.from_bytes(message[2:10], "big"), message[10:42]


def check_records(data: Buffer, start: int, end: int, completed: int = COMPLETED) -> int:
    """The plain walker: takes what is completed and whose CRC holds. Deleted records are passed over unread."""
    offset = start
    while offset + SMALLEST_RECORD <= end:
        flags, length, crc, timestamp = HEADER.unpack_from(data, offset)
        following = offset + HEADER_SIZE + length
        if following > end or flags & completed != completed or length < 2:
            return offset
        if not flags & DELETED and crc_of(timestamp, data[offset + HEADER_SIZE : following]) != crc:
            return offset
        offset = following
    return offset


@dataclass(slots=True)
class Walked:
    """How a walk over a whole file went: where its good records end, and the bad stretches before that."""

    end: int
    gaps: list[tuple[int, int]] = field(default_factory=list)


def walk_over(
    data: Buffer, start: int, end: int, walker: Walker, completed: int = COMPLETED, *, settled: bool = True
) -> Walked:
    """Lead a walker over all good records, jumping over damage to the next record that can be trusted.

    What is not completed is where a writer stopped: nothing after it counts, unless more follows than a crash leaves
    behind. Every other thing that the walker refuses is damage, a gap if a good record can be found behind it, else the
    end. `settled`: the file is not written to, so what is not completed and has a wrong CRC besides is damage too (a
    page of zeros after a power cut).
    """
    gaps: list[tuple[int, int]] = []
    while True:
        offset = walker(data, start, end)
        if offset + SMALLEST_RECORD > end or _is_unfinished(data, offset, end, completed, settled):
            return Walked(offset, gaps)
        start = next_good_record(data, offset, end)
        if start == end:
            return Walked(offset, gaps)
        gaps.append((offset, start))


def _is_unfinished(data: Buffer, offset: int, end: int, completed: int, settled: bool) -> bool:
    header: tuple[int, int, int, int] = HEADER.unpack_from(data, offset)
    flags, length, crc, timestamp = header
    following = offset + HEADER_SIZE + length
    if flags & completed == completed or end - offset > LONGEST_BATCH:
        return False
    if not settled:
        return True
    return length >= 2 and (following > end or crc_of(timestamp, data[offset + HEADER_SIZE : following]) == crc)


def next_good_record(data: Buffer, bad: int, end: int) -> int:
    """The first record behind a bad one whose CRC holds, or end: by the bad one's length, if that fails by search."""
    length = int(HEADER.unpack_from(data, bad)[1])
    if length >= 2 and _is_good(data, bad + HEADER_SIZE + length, end):
        return bad + HEADER_SIZE + length
    for found in _PLAUSIBLE.finditer(data, bad + SMALLEST_RECORD, end):
        if _is_good(data, found.start(), end):
            return found.start()
    return end


def _is_good(data: Buffer, offset: int, end: int) -> bool:
    if offset + SMALLEST_RECORD > end:
        return False
    header: tuple[int, int, int, int] = HEADER.unpack_from(data, offset)
    _, length, crc, timestamp = header
    following = offset + HEADER_SIZE + length
    return following <= end and length >= 2 and crc_of(timestamp, data[offset + HEADER_SIZE : following]) == crc


def fillers(start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """(offset, header) of the deleted records that a gap is turned into, for readers that go by lengths."""
    while start < stop:
        size = min(stop - start, HEADER_SIZE + 0xFFFF)
        if 0 < stop - start - size < SMALLEST_RECORD:
            size -= SMALLEST_RECORD
        yield start, HEADER.pack(DELETED | COMPLETED, size - HEADER_SIZE, 0, 0)
        start += size
