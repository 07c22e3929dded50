"""Stores of versions 9 to 15, as CLN wrote them, turned into records of version 16 (anchors: CLN's can_upgrade).

What the versions changed: 11 dropped channel_updates without htlc_maximum_msat, 13 the private records, 14 the zombie
and rate-limit flags (the latter was the bit that is COMPLETED now), 15 brought COMPLETED, 16 the uuid. Deleted and
damaged records and notes to followers (delete_chan, ended, uuid) are left out, so the result is compact as well.
"""

from collections.abc import Iterator
from functools import partial

from gossipd.store.records import (
    CHANNEL_AMOUNT,
    COMPLETED,
    DELETE_CHANNEL,
    DELETED,
    DYING,
    ENDED,
    FIRST_RECORD,
    HEADER_AND_TYPE,
    HEADER_SIZE,
    OLDEST_WITH_COMPLETED,
    PRIVATE_CHANNEL,
    PRIVATE_UPDATE,
    SMALLEST_RECORD,
    UUID,
    ZOMBIE,
    Buffer,
    check_records,
    pack_record,
    walk_over,
)
from wire.gossip_layout import CHANNEL_ANNOUNCEMENT, CHANNEL_UPDATE, UPDATE_MAXIMUM, UPDATE_SIZE

LAST_WITH_ZOMBIES = 13
NOT_CARRIED = {DELETE_CHANNEL, ENDED, UUID, PRIVATE_UPDATE, PRIVATE_CHANNEL}


def completed_mask(version: int) -> int:
    """The flag that a record must have to count: none before version 15."""
    return COMPLETED if version >= OLDEST_WITH_COMPLETED else 0


def dead_mask(version: int) -> int:
    """The flags that take a record out of the map."""
    return DELETED | ZOMBIE if version <= LAST_WITH_ZOMBIES else DELETED


def shortest_update(version: int) -> int:
    """The size of the shortest channel_update that a store of that version may hold: in older ones some are without
    htlc_maximum_msat, history, which the library reads and a daemon does not carry over.
    """
    return UPDATE_MAXIMUM if version <= LAST_WITH_ZOMBIES else UPDATE_SIZE


def convert(data: Buffer) -> Iterator[bytes]:
    """The live records of an old store, packed for version 16, in their order."""
    completed = completed_mask(data[0])
    walker = partial(check_records, completed=completed)
    walked = walk_over(data, FIRST_RECORD, len(data), walker, completed)
    start, previous = FIRST_RECORD, 0
    for gap, behind in [*walked.gaps, (walked.end, walked.end)]:
        for kind, packed in _records(data, start, gap, dead_mask(data[0])):
            # An amount means the announcement right before it; without that it would go to another channel.
            if kind != CHANNEL_AMOUNT or previous == CHANNEL_ANNOUNCEMENT:
                yield packed
            previous = kind
        start, previous = behind, 0


def _records(data: Buffer, start: int, end: int, dead: int) -> Iterator[tuple[int, bytes]]:
    offset = start
    while offset + SMALLEST_RECORD <= end:
        flags, length, _, timestamp, kind = HEADER_AND_TYPE.unpack_from(data, offset)
        message = offset + HEADER_SIZE
        offset = message + length
        if flags & dead or kind in NOT_CARRIED or (kind == CHANNEL_UPDATE and length < UPDATE_SIZE):
            continue
        yield kind, pack_record(data[message:offset], timestamp, COMPLETED | flags & DYING)
