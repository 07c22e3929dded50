"""The file of gossip v2, `gossip_store_v2`, without the disk: records one after the other, the last of a key counts.

A record says that a message is kept under its key, or that nothing is kept there any more. One whose end a crash has
cut off, or that is damaged, is the last that is looked at. Readers need nothing but this module.
"""

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

import google_crc32c

ENDING = "_v2"
"""Of the file's name, behind that of the gossip_store."""
BEGINNING = b"lightningd-py gossip v2, format 1\n"

Key = bytes
"""Of a channel its scid (8 bytes), of an update its sciddir (9 bytes), of a node its id (33 bytes)."""
SCID_SIZE, SCIDDIR_SIZE, NODE_ID_SIZE = 8, 9, 33

_CHECKED, _GONE = 1, 2
_HEAD = Struct(">II")
"""Bytes of the body, and its CRC-32C."""
_ABOUT = Struct(">BIBB")
"""Flags, block height, bytes of the key and of the source; then these, then the message."""


class Record(NamedTuple):
    """What is kept under a key. `message` is empty for nothing. `source`: where it came from (`source_key` of an
    address). `checked`: of a channel, the chain has its output."""

    key: Key
    message: bytes = b""
    source: str = ""
    height: int = 0
    checked: bool = False


def pack(record: Record) -> bytes:
    """As it stands in the file."""
    flags = (_CHECKED if record.checked else 0) | (0 if record.message else _GONE)
    source = record.source.encode()[:255]
    body = _ABOUT.pack(flags, record.height, len(record.key), len(source)) + record.key + source + record.message
    return _HEAD.pack(len(body), google_crc32c.value(body)) + body


def unpack(content: bytes) -> Iterator[Record]:
    """All whole records of a file. Nothing of one that does not begin as it should."""
    at = len(BEGINNING)
    if content[:at] != BEGINNING:
        return
    while at + _HEAD.size <= len(content):
        size, crc = _HEAD.unpack_from(content, at)
        body = content[at + _HEAD.size : at + _HEAD.size + size]
        if len(body) < max(size, _ABOUT.size) or google_crc32c.value(body) != crc:
            return
        yield _unpack(body)
        at += _HEAD.size + size


def _unpack(body: bytes) -> Record:
    flags, height, key_size, source_size = _ABOUT.unpack_from(body)
    source_at = _ABOUT.size + key_size
    message_at = source_at + source_size
    source = body[source_at:message_at].decode("utf-8", "replace")
    return Record(body[_ABOUT.size : source_at], body[message_at:], source, height, bool(flags & _CHECKED))


def latest(content: bytes) -> dict[Key, Record]:
    """What is kept according to a file, in the order in which it came."""
    found: dict[Key, Record] = {}
    for record in unpack(content):
        found.pop(record.key, None)
        if record.message:
            found[record.key] = record
    return found
