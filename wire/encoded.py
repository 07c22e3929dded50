"""The arrays in gossip queries: `encoded_short_ids`, query flags, timestamps and checksums. BOLT 7, B7-90.

An `encoded_` array is one byte that says how the rest is packed, then the items. Only type 0 is left, the items as
they are. Type 1 was zlib and must not be used: like all others it raises UnknownEncoding.
"""

import struct
from collections.abc import Iterable

from wire.cursor import Cursor, WireError, encode_bigsize
from wire.types import Codec, pairs

UNCOMPRESSED = 0
_MOST_BYTES = 65_535
"""Of a message (B1-3)."""
_SCID_SIZE = 8

ANNOUNCEMENT, UPDATE_1, UPDATE_2, NODE_1, NODE_2 = 1, 2, 4, 8, 16
"""The bits of query_flags: which parts of a channel are asked for. BOLT 7, query_short_channel_ids (B7-91)."""
ALL = ANNOUNCEMENT | UPDATE_1 | UPDATE_2 | NODE_1 | NODE_2


class UnknownEncoding(WireError):
    """The items are packed in a way that is no longer allowed, or not yet known."""


def encode_short_ids(short_channel_ids: Iterable[int]) -> bytes:
    """`encoded_short_ids` of these, in the order given: the spec wants it ascending."""
    ids = tuple(short_channel_ids)
    return bytes([UNCOMPRESSED]) + struct.pack(f">{len(ids)}Q", *ids)


def decode_short_ids(encoded: bytes) -> list[int]:
    """The ids in their order, ascending or not. Raises UnknownEncoding, or WireError if they are no whole number."""
    cursor = Cursor(encoded)
    _read_encoding(cursor)
    count, over = divmod(cursor.remaining, 8)
    if over:
        raise WireError(f"{cursor.remaining} bytes are no whole number of short_channel_ids")
    return list(struct.unpack(f">{count}Q", cursor.rest()))


def _read_encoding(cursor: Cursor) -> None:
    encoding = cursor.u8()
    if encoding != UNCOMPRESSED:
        raise UnknownEncoding(f"encoding type {encoding}, and only {UNCOMPRESSED} may be used")


def _read_flags(cursor: Cursor) -> list[int]:
    """As many as there can be channels beside them in one message: more would be read for nothing."""
    _read_encoding(cursor)
    most = (_MOST_BYTES - cursor.remaining) // _SCID_SIZE
    flags: list[int] = []
    while cursor.remaining:
        if len(flags) >= most:
            raise WireError(f"more than {most} query flags, for fewer channels")
        flags.append(cursor.bigsize())
    return flags


def _read_timestamps(cursor: Cursor) -> list[tuple[int, int]]:
    _read_encoding(cursor)
    timestamps: list[tuple[int, int]] = _PAIRS.read(cursor)
    return timestamps


_PAIRS = pairs("I")
FLAGS_CODEC = Codec(_read_flags, lambda flags: bytes([UNCOMPRESSED]) + b"".join(map(encode_bigsize, flags)))
TIMESTAMPS_CODEC = Codec(_read_timestamps, lambda values: bytes([UNCOMPRESSED]) + _PAIRS.write(values))
CHECKSUMS_CODEC = _PAIRS
