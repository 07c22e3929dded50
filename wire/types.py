"""The types of message fields: plain types for the type checker, each with the codec that reads and writes it.

A message declares `chain_hash: ChainHash`; for mypy that is `bytes`, and `wire.message` finds the codec in the hint.
Names are BOLT 1's, "Fundamental Types". Writing a value that does not fit raises ValueError: that is our own bug.
NETWORKS has the values that a `chain_hash` may take.
"""

import struct
from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Any

from wire.cursor import Cursor, WireError, encode_bigsize, encode_truncated
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Codec:
    """How a value is read from a cursor, up to its own end, and how it is written."""

    read: Callable[[Cursor], Any]
    write: Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class Tlv:
    """Marks a field as a TLV record of its message: the record's type, and the codec of its whole value.

    The codec may raise NotOurs for a value that is legal and says nothing to us. `required`: a message without it is
    none.
    """

    number: int
    codec: Codec
    required: bool = False


class ByFields:
    """Compared and printed by its fields, as a dataclass is: written once, for all declared messages. `dataclass` would
    write it for each of them again, which is half of what their import takes (20 ms, in every process)."""

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented

    def __repr__(self) -> str:
        shown = [f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr]  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(shown)})"


class NotOurs(Exception):
    """The value of a known record that is legal and that we cannot represent: it is kept like an unknown record."""


def integer(size: int, *, signed: bool = False) -> Codec:
    """A big-endian integer of `size` bytes."""

    def write(value: int) -> bytes:
        try:
            return value.to_bytes(size, "big", signed=signed)
        except OverflowError as error:
            raise ValueError(f"{value} does not fit {size} bytes") from error

    return Codec(lambda cursor: int.from_bytes(cursor.take(size), "big", signed=signed), write)


def truncated(size: int) -> Codec:
    """An integer of at most `size` bytes without leading zeros, which fills its TLV record."""
    return Codec(lambda cursor: cursor.truncated(size), lambda value: encode_truncated(value, size))


def fixed(size: int) -> Codec:
    """Exactly `size` bytes."""

    def write(value: bytes) -> bytes:
        if len(value) != size:
            raise ValueError(f"{len(value)} bytes where there must be {size}")
        return bytes(value)

    return Codec(lambda cursor: cursor.take(size), write)


def array(item: Codec) -> Codec:
    """As many items as fill the TLV record."""

    def read(cursor: Cursor) -> list[Any]:
        items = []
        while cursor.remaining:
            items.append(item.read(cursor))
        return items

    return Codec(read, lambda values: b"".join(map(item.write, values)))


def pairs(code: str) -> Codec:
    """As many pairs of integers as fill the record, as tuples; `code` is struct's letter for one of them."""
    pair = struct.Struct(f">2{code}")

    def read(cursor: Cursor) -> list[tuple[int, int]]:
        if cursor.remaining % pair.size:
            raise WireError(f"{cursor.remaining} bytes are no whole number of pairs of {pair.size}")
        return list(pair.iter_unpack(cursor.rest()))

    def write(values: list[tuple[int, int]]) -> bytes:
        try:
            return b"".join(pair.pack(*value) for value in values)
        except struct.error as error:
            raise ValueError(f"a number that does not fit {pair.size // 2} bytes") from error

    return Codec(read, write)


def _read_point(cursor: Cursor) -> bytes:
    point = cursor.take(33)
    if point[0] not in (2, 3):
        raise WireError(f"point begins with {point[0]:#04x} instead of 0x02 or 0x03")
    return point


def _read_sciddir_or_pubkey(cursor: Cursor) -> bytes:
    first = cursor.take(1)
    if first[0] > 3:
        raise WireError(f"sciddir_or_pubkey begins with {first[0]:#04x}")
    return first + cursor.take(8 if first[0] < 2 else 32)


def _write_sciddir_or_pubkey(value: bytes) -> bytes:
    if not value or len(value) != (9 if value[0] < 2 else 33) or value[0] > 3:
        raise ValueError(f"{value.hex()} is no sciddir_or_pubkey")
    return bytes(value)


def _write_with_length(value: bytes) -> bytes:
    return U16_CODEC.write(len(value)) + bytes(value)


U16_CODEC = integer(2)
U32_CODEC = integer(4)
CHAIN_HASH_CODEC = fixed(32)
POINT_CODEC = Codec(_read_point, fixed(33).write)
SCIDDIR_OR_PUBKEY_CODEC = Codec(_read_sciddir_or_pubkey, _write_sciddir_or_pubkey)
BIGSIZE_CODEC = Codec(Cursor.bigsize, encode_bigsize)

U8 = Annotated[int, integer(1)]
U16 = Annotated[int, U16_CODEC]
U32 = Annotated[int, U32_CODEC]
U64 = Annotated[int, integer(8)]
S8 = Annotated[int, integer(1, signed=True)]
S16 = Annotated[int, integer(2, signed=True)]
S32 = Annotated[int, integer(4, signed=True)]
S64 = Annotated[int, integer(8, signed=True)]
Tu16 = Annotated[int, truncated(2)]
Tu32 = Annotated[int, truncated(4)]
Tu64 = Annotated[int, truncated(8)]
BigSize = Annotated[int, BIGSIZE_CODEC]

ChainHash = Annotated[bytes, CHAIN_HASH_CODEC]
ChannelId = Annotated[bytes, fixed(32)]
Sha256 = Annotated[bytes, fixed(32)]
Signature = Annotated[bytes, fixed(64)]
ShortChannelId = Annotated[int, integer(8)]
Point = Annotated[bytes, POINT_CODEC]
"""33 bytes that begin with 2 or 3. Whether they are on the curve costs a square root: it shows at the signature."""
SciddirOrPubkey = Annotated[bytes, SCIDDIR_OR_PUBKEY_CODEC]

RgbColor = Annotated[bytes, fixed(3)]
Alias = Annotated[bytes, fixed(32)]
Bytes = Annotated[bytes, Codec(lambda cursor: cursor.take(cursor.u16()), _write_with_length)]
"""`u16` length and so many bytes, as in `len*byte`."""

NETWORKS: dict[str, bytes] = {
    "bitcoin": bytes.fromhex("6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000"),
    "testnet": bytes.fromhex("43497fd7f826957108f4a30fd9cec3aeba79972084e90ead01ea330900000000"),
    "testnet4": bytes.fromhex("43f08bdab050e35b567c864b91f47f50ae725ae2de53bcfbbaf284da00000000"),
    "signet": bytes.fromhex("f61eee3b63a380a477a063af32b2bbc97c9ff9f01f2c4225e973988108000000"),
    "regtest": bytes.fromhex("06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"),
}
"""The networks by name, each with its `chain_hash`: the genesis block's hash in the byte order of the wire. BOLT 0."""
