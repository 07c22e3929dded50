"""A block as bitcoind serves it: which outputs it spends. All else is passed over; bitcoind has checked it.

A block of 4 MB has some ten thousand inputs: `inputs` is a generator, so that its caller can do other things between.
"""

import hashlib
from collections.abc import Generator, Iterator
from struct import Struct, error

HEADER_SIZE = 80
_U16, _U32, _U64 = Struct("<H"), Struct("<I"), Struct("<Q")


class BlockError(Exception):
    """Not a whole block."""


def block_hash(raw: bytes) -> bytes:
    """The hash of its header, in the byte order in which blocks name each other."""
    return hashlib.sha256(hashlib.sha256(raw[:HEADER_SIZE]).digest()).digest()


def previous_hash(raw: bytes) -> bytes:
    """The block before it."""
    return raw[4:36]


def inputs(raw: bytes) -> Iterator[bytes]:
    """Every outpoint that is spent, 36 bytes: the transaction's id as in a block, and the index (u32, little endian).

    The coinbase's is among them. Raises BlockError where the block ends too early or too late.
    """
    try:
        count, at = _compact_size(raw, HEADER_SIZE)
        for _ in range(count):
            at = yield from _transaction(raw, at)
    except (IndexError, error) as cut_short:
        raise BlockError("the block is cut short") from cut_short
    if at != len(raw):
        raise BlockError("the block has a wrong length")


def _transaction(raw: bytes, at: int) -> Generator[bytes, None, int]:
    """Its inputs; returns where it ends."""
    at += 4
    has_witness = raw[at] == 0
    count, at = _compact_size(raw, at + 2 * has_witness)
    for _ in range(count):
        yield raw[at : at + 36]
        size, script_at = _compact_size(raw, at + 36)
        at = script_at + size + 4
    outputs, at = _compact_size(raw, at)
    for _ in range(outputs):
        size, script_at = _compact_size(raw, at + 8)
        at = script_at + size
    if has_witness:
        for _ in range(count):
            items, at = _compact_size(raw, at)
            for _ in range(items):
                size, item_at = _compact_size(raw, at)
                at = item_at + size
    return at + 4


def _compact_size(raw: bytes, at: int) -> tuple[int, int]:
    """Bitcoin's variable-length number, little endian; and what is behind it."""
    first = raw[at]
    if first < 0xFD:
        return first, at + 1
    if first == 0xFD:
        return _U16.unpack_from(raw, at + 1)[0], at + 3
    if first == 0xFE:
        return _U32.unpack_from(raw, at + 1)[0], at + 5
    return _U64.unpack_from(raw, at + 1)[0], at + 9
