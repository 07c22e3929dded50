"""What a gossip message is about, v1 or v2, for those that only pass it on: feed, record."""

from collections.abc import Mapping
from typing import NamedTuple

from wire import gossip_layout
from wire.cursor import WireError, write_tlvs
from wire.gossip_layout import CHANNEL_UPDATE, TYPE_SIZE
from wire.gossip_v2.records import (
    ABOUT_NODE,
    ANNOUNCED_SCID,
    CHANNEL_ANNOUNCEMENT_2,
    HEIGHT_OF,
    NODE_ANNOUNCEMENT_2,
    SIGNATURE,
    UPDATED_SCIDDIR,
    number_of,
    read_records,
)


class About(NamedTuple):
    """What a message of gossip v2 is about. None is what it does not have, or not as it should be; all, if it is no TLV
    stream. `scid`: 8 bytes; `node_id`: 33. `undated`: as of the function."""

    scid: bytes | None = None
    direction: int | None = None
    node_id: bytes | None = None
    undated: bytes | None = None


def undated(message: bytes) -> bytes | None:
    """What a message says whenever it is said: as `wire.gossip_layout`; of gossip v2 its type and all records but
    signature and block height, None if it is no TLV stream."""
    if number_of(message) > CHANNEL_UPDATE:
        return about_v2(message).undated
    return gossip_layout.undated(message)


def subject(message: bytes) -> tuple[int | None, int | None, bytes | None, int | None]:
    """short_channel_id, direction, node_id and timestamp: as `wire.gossip_layout`; gossip v2 has no timestamp."""
    if number_of(message) > CHANNEL_UPDATE:
        said = about_v2(message)
        return None if said.scid is None else int.from_bytes(said.scid, "big"), said.direction, said.node_id, None
    return gossip_layout.subject(message)


def about_v2(message: bytes) -> About:
    """Of any bytes that have a type of gossip v2, or none that is known."""
    number = number_of(message)
    if number not in gossip_layout.GOSSIP_2_TYPES:
        return About()
    try:
        records = read_records(message)
    except WireError:
        return About()
    said = _undated(message, records)
    if number == CHANNEL_ANNOUNCEMENT_2:
        return About(scid=_sized(records.get(ANNOUNCED_SCID), 8), undated=said)
    if number == NODE_ANNOUNCEMENT_2:
        return About(node_id=_sized(records.get(ABOUT_NODE), 33), undated=said)
    sciddir = _sized(records.get(UPDATED_SCIDDIR), 9)
    if sciddir is None or sciddir[0] > 1:
        return About(undated=said)
    return About(sciddir[1:], sciddir[0], undated=said)


def _undated(message: bytes, records: Mapping[int, bytes]) -> bytes:
    left_out = SIGNATURE, HEIGHT_OF.get(number_of(message), SIGNATURE)
    kept = {number: value for number, value in records.items() if number not in left_out}
    return message[:TYPE_SIZE] + write_tlvs(kept)


def _sized(value: bytes | None, size: int) -> bytes | None:
    return value if value is not None and len(value) == size else None
