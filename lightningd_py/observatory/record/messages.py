"""What a gossip message is about, for its row in `messages`: scid, direction, node_id, timestamp, inner hash."""

import hashlib
from typing import Any, NamedTuple

from wire.gossip_layout import TYPE_SIZE
from wire.gossip_v2.about import subject, undated

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
    return About(*subject(raw)) if len(raw) >= TYPE_SIZE else NOTHING


def inner_hash(raw: bytes) -> bytes:
    """The beginning of SHA256 over a message without its signatures and its timestamp (docs/feed.md)."""
    return hashlib.sha256(inner_bytes(raw)).digest()[:HASH_SIZE]


def inner_bytes(raw: bytes) -> bytes:
    """A message without its signatures and its time; as it is if it is of another type, or is cut."""
    said = undated(raw) if len(raw) >= TYPE_SIZE else None
    return raw if said is None else said


def message_row(
    vantage: str, time_ns: int, sha256: bytes, raw: bytes, heard: bool, inner: bytes | None = None
) -> tuple[Any, ...]:
    """A row of `messages`. `heard`: from a peer, not read in the store. `inner`: the inner hash, if it is known."""
    scid, direction, node_id, timestamp = about(raw)
    kind = int.from_bytes(raw[:TYPE_SIZE], "big")
    inner = inner_hash(raw) if inner is None else inner[:HASH_SIZE]
    short = sha256[:HASH_SIZE]
    return time_ns, vantage, short, sha256, inner, kind, len(raw), scid, direction, node_id, timestamp, heard, raw
