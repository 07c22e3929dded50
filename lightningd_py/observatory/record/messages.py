"""What a gossip message is about, for its row in `messages`: scid, direction, node_id, timestamp, inner hash."""

import hashlib
import struct
from typing import Any, NamedTuple

from wire.gossip_layout import (
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_SIGNED,
    CHANNEL_UPDATE,
    NODE_ANNOUNCEMENT,
    SIGNED,
    TYPE_SIZE,
    U32,
    UPDATE_MESSAGE_FLAGS,
    UPDATE_TIMESTAMP,
    channel_scid,
    node_body,
    node_id_of,
    node_timestamp,
    update_direction,
    update_scid,
    update_timestamp,
)

HASH_SIZE = 16


class About(NamedTuple):
    """None is what that type does not have, or what is cut off."""

    scid: int | None = None
    direction: int | None = None
    node_id: bytes | None = None
    timestamp: int | None = None


NOTHING = About()


def about(raw: bytes) -> About:
    """What a message says of itself."""
    try:
        match int.from_bytes(raw[:TYPE_SIZE], "big"):
            case 256:
                return About(scid=channel_scid(raw))
            case 257:
                node_id = node_id_of(raw)
                return About(node_id=node_id, timestamp=node_timestamp(raw)) if len(node_id) == 33 else NOTHING
            case 258:
                return About(update_scid(raw), update_direction(raw), None, update_timestamp(raw))
    except (struct.error, IndexError):
        pass
    return NOTHING


def inner_hash(raw: bytes) -> bytes:
    """The beginning of SHA256 over a message without its signatures and its timestamp (docs/feed.md)."""
    return hashlib.sha256(inner_bytes(raw)).digest()[:HASH_SIZE]


def inner_bytes(raw: bytes) -> bytes:
    """A message without its signatures and its timestamp; as it is if it is of another type, or is cut."""
    kind = int.from_bytes(raw[:TYPE_SIZE], "big")
    if kind == CHANNEL_ANNOUNCEMENT and len(raw) >= CHANNEL_SIGNED:
        return raw[:TYPE_SIZE] + raw[CHANNEL_SIGNED:]
    if kind == CHANNEL_UPDATE and len(raw) >= UPDATE_MESSAGE_FLAGS:
        return raw[:TYPE_SIZE] + raw[SIGNED:UPDATE_TIMESTAMP] + raw[UPDATE_MESSAGE_FLAGS:]
    if kind == NODE_ANNOUNCEMENT and len(raw) > SIGNED + 1:
        body = node_body(raw)
        if len(raw) >= body + U32.size:
            return raw[:TYPE_SIZE] + raw[SIGNED:body] + raw[body + U32.size :]
    return raw


def message_row(
    vantage: str, time_ns: int, sha256: bytes, raw: bytes, heard: bool, inner: bytes | None = None
) -> tuple[Any, ...]:
    """A row of `messages`. `heard`: from a peer, not read in the store. `inner`: the inner hash, if it is known."""
    scid, direction, node_id, timestamp = about(raw)
    kind = int.from_bytes(raw[:TYPE_SIZE], "big")
    inner = inner_hash(raw) if inner is None else inner[:HASH_SIZE]
    short = sha256[:HASH_SIZE]
    return time_ns, vantage, short, sha256, inner, kind, len(raw), scid, direction, node_id, timestamp, heard, raw
