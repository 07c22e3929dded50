"""What a peer message is: a type, fields in the spec's order, an extension. Each is declared once, in `wire.peer_wire`.

The hints of a class are turned into codecs once. What a message carries beyond its fields is kept in `extension`, so
that a message that others have signed is written again byte for byte (B1-8, B7-57).
"""

import inspect
import typing
from dataclasses import field
from typing import Annotated, Any, ClassVar, Self, dataclass_transform

from wire.cursor import Cursor, WireError, read_tlvs, write_tlvs
from wire.start.late_dataclass import dataclass
from wire.types import ByFields, Codec, NotOurs, Tlv

MAX_MESSAGE = 65535
"""Bytes of a message with its type (B1-3)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a class is read and written: its fields in order, its TLV fields by record type, and which of those each
    message has."""

    fields: tuple[tuple[str, Codec], ...]
    records: dict[int, tuple[str, Codec]]
    required: tuple[str, ...] = ()


def _plan(hints: dict[str, Any]) -> Plan:
    """The codecs of a class, from the hints in its body."""
    fields: list[tuple[str, Codec]] = []
    records: dict[int, tuple[str, Codec]] = {}
    required: list[str] = []
    for name, hint in hints.items():
        if typing.get_origin(hint) is not Annotated:
            continue
        for mark in hint.__metadata__:
            if isinstance(mark, Codec):
                fields.append((name, mark))
            elif isinstance(mark, Tlv):
                records[mark.number] = (name, mark.codec)
                required += [name] if mark.required else []
    return Plan(tuple(fields), records, tuple(required))


@dataclass_transform(field_specifiers=(field,))
class _Declared(ByFields):
    """Makes a dataclass of each subclass and registers it under its `number`."""

    number: ClassVar[int] = 0
    plan: ClassVar[Plan] = Plan((), {})
    registry: ClassVar[dict[int, type["BoltMessage"]]] = {}

    def __init_subclass__(cls, *, number: int = 0) -> None:
        dataclass(cls, repr=False, eq=False)
        cls.plan = _plan(inspect.get_annotations(cls))
        if number:
            if number in cls.registry:
                raise TypeError(f"message {number} is declared twice")
            cls.number = number
            cls.registry[number] = typing.cast("type[BoltMessage]", cls)


class BoltMessage(_Declared):
    """Base of all messages between peers.

    `extension` is what follows the fields: in a message without TLV fields any bytes, in one with them the records
    that we do not know, as a TLV stream.
    """

    extension: bytes = field(default=b"", kw_only=True)

    @classmethod
    def name(cls) -> str:
        """`gossip_timestamp_filter` for GossipTimestampFilter: the spec's name, for logs."""
        words = cls.__name__.removesuffix("Message")
        return "".join("_" + c.lower() if c.isupper() else c for c in words).lstrip("_")

    def encode(self) -> bytes:
        """The message with its 2-byte type. Raises ValueError if a field, or all of it, does not fit."""
        raw = self.number.to_bytes(2, "big") + self._payload()
        if len(raw) > MAX_MESSAGE:
            raise ValueError(f"{self.name()} of {len(raw)} bytes is too long")
        return raw

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """The message in `raw`, type included. Raises WireError if it is another, too short, or its TLVs are wrong."""
        cursor = Cursor(raw)
        number = cursor.u16()
        if number != cls.number:
            raise WireError(f"message {number} where {cls.name()} was expected")
        try:
            values = {name: codec.read(cursor) for name, codec in cls.plan.fields}
            values["extension"] = _read_records(cursor, cls.plan, values) if cls.plan.records else cursor.rest()
        except WireError as error:
            raise type(error)(f"{cls.name()}: {error}") from error
        return cls(**values)

    def _payload(self) -> bytes:
        return b"".join(codec.write(getattr(self, name)) for name, codec in self.plan.fields) + self._tail()

    def _tail(self) -> bytes:
        if not self.plan.records:
            return self.extension
        try:
            records = read_tlvs(Cursor(self.extension), ())
        except WireError as error:
            raise ValueError(f"{self.name()} with an extension that is none: {error}") from error
        for number, (name, codec) in self.plan.records.items():
            value = getattr(self, name)
            if value is not None:
                records[number] = codec.write(value)
        return write_tlvs(records)


class UnknownMessage(BoltMessage):
    """A message of a type that is not declared: `payload` is all that follows the type."""

    number: int = field()  # type: ignore[misc]  # here each message has its own
    payload: bytes

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Any message at all. Raises WireError if it has no type."""
        cursor = Cursor(raw)
        return cls(cursor.u16(), cursor.rest())

    def _payload(self) -> bytes:
        return self.payload


def _read_records(cursor: Cursor, plan: Plan, values: dict[str, Any]) -> bytes:
    """Puts the known records into `values` and returns the stream of the others."""
    others: dict[int, bytes] = {}
    for number, value in read_tlvs(cursor, plan.records).items():
        if number not in plan.records:
            others[number] = value
            continue
        name, codec = plan.records[number]
        try:
            values[name] = _read_record(value, codec)
        except NotOurs:
            others[number] = value
    if missing := [name for name in plan.required if name not in values]:
        raise WireError(f"no {missing[0]}")
    return write_tlvs(others)


def _read_record(value: bytes, codec: Codec) -> Any:
    """The value of a record, which its codec must read to the last byte (B1-12)."""
    cursor = Cursor(value)
    with cursor.limit(len(value)):
        return codec.read(cursor)
