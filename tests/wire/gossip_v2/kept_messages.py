"""What a message of gossip v2 is kept as, found out from it."""

from wire.gossip_v2.kept import Key
from wire.gossip_v2.records import (
    ABOUT_NODE,
    ANNOUNCED_SCID,
    CHANNEL_ANNOUNCEMENT_2,
    HEIGHT_OF,
    NODE_ANNOUNCEMENT_2,
    UPDATED_SCIDDIR,
    number_of,
    read_records,
)


def key_of(message: bytes) -> tuple[Key, int]:
    """Where a well-formed message is kept, and its block height, 0 if it has none."""
    number, records = number_of(message), read_records(message)
    height = int.from_bytes(records[HEIGHT_OF[number]], "big") if number in HEIGHT_OF else 0
    if number == CHANNEL_ANNOUNCEMENT_2:
        return records[ANNOUNCED_SCID], height
    return records[ABOUT_NODE if number == NODE_ANNOUNCEMENT_2 else UPDATED_SCIDDIR], height
