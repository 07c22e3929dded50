"""How the messages of the buses are read and written: a msgpack map of plain fields, typed by a dataclass.

The declarations are in `bus_wire.py`. Everything that comes is a stranger's until it has been read here: sizes are
bounded, types are checked, and what is wrong becomes one sentence.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar, NamedTuple, Self, dataclass_transform

import msgpack

from wire.start.late_dataclass import dataclass
from wire.types import ByFields

VERSION = 1
MAX_BODY = 1 << 20
"""Bytes of a message. A peer's message is 65,535 at most; a registration of 10,000 channels fits."""
MAX_INT = (1 << 64) - 1
MAX_NODES_NAMED = 10_000
"""Node ids, or channels, in one message."""
MAX_DEPTH = 16
"""Lists and maps within each other: a registration has three, `filter` of a JSON-RPC method needs six."""
MAX_NESTS = 20_000
"""Lists and maps in one message: a registration of MAX_NODES_NAMED channels has one for each."""

Id = int | str | None

pack = msgpack.Packer().pack
"""One for all: to make a packer takes as long as to use it."""


class BusError(Exception):
    """What came is no message of this bus. The text is one sentence for its sender."""


@dataclass_transform(field_specifiers=(field,))
class BusMessage(ByFields):
    """Base of all messages; `buses` and `senders` ("service", "node") come from the class statement."""

    buses: ClassVar[frozenset[str]] = frozenset()
    senders: ClassVar[frozenset[str]] = frozenset()
    registry: ClassVar[dict[str, type["BusMessage"]]] = {}

    def __init_subclass__(cls, *, bus: str | tuple[str, ...], sender: str | tuple[str, ...]) -> None:
        dataclass(cls, repr=False, eq=False)
        cls.buses = frozenset((bus,) if isinstance(bus, str) else bus)
        cls.senders = frozenset((sender,) if isinstance(sender, str) else sender)
        cls.registry[cls.name()] = cls

    @classmethod
    @functools.cache
    def name(cls) -> str:
        """`take_peer` for TakePeer: what stands in `type`."""
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")

    def encode(self) -> bytes:
        """The body."""
        return bytes(pack({"v": VERSION, "type": self.name(), **_to_map(self)}))

    @staticmethod
    def decode(body: bytes, bus: str, sender: str) -> "BusMessage":
        """The message in a body that `sender` sent on this bus. Raises BusError."""
        found = read_map(body)
        kind = found.get("type")
        cls = BusMessage.registry.get(kind) if isinstance(kind, str) else None
        if cls is None or bus not in cls.buses or sender not in cls.senders:
            raise BusError(f"there is no message of type {kind!r:.40} from a {sender} on {bus}")
        try:
            return cls._from_map(found)
        except (TypeError, ValueError) as error:
            raise BusError(f"{kind}: {error}") from error

    @classmethod
    def _from_map(cls, found: dict[str, Any]) -> Self:
        return typing.cast(Self, _from_map(cls, found))


def is_deeper(value: Any, depth: int) -> bool:
    """Whether lists and maps are within each other more than `depth` times. In a loop: the value may be a stranger's,
    and whatever looks into it by recursion, be it `repr`, comes to an end at some depth."""
    level = [value]
    for _ in range(depth + 1):
        nests = [part for part in level if isinstance(part, dict | list)]
        if not nests:
            return False
        level = [inner for nest in nests for inner in (nest.values() if isinstance(nest, dict) else nest)]
    return True


class _Counter:
    """Of the lists and maps of one message, as they are made."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, nest: Any) -> Any:
        self.made += 1
        if self.made > MAX_NESTS:
            raise ValueError("too many lists and maps")
        return nest


def read_map(body: bytes) -> dict[str, Any]:
    """The map in a body, of our version. Raises BusError. What it has in memory is at most ten times the body's size,
    and MAX_DEPTH deep.
    """
    if len(body) > MAX_BODY:
        raise BusError(f"a message of {len(body)} bytes is too long, {MAX_BODY} may be")
    count = _Counter()
    try:
        found = msgpack.unpackb(body, strict_map_key=True, max_ext_len=0, list_hook=count, object_hook=count)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise BusError("that is no msgpack") from error
    if not isinstance(found, dict):
        raise BusError(f"a message is a map, not {type(found).__name__}")
    if count.made > MAX_DEPTH and is_deeper(found, MAX_DEPTH):  # mostly there is one
        raise BusError(f"lists and maps are nested more than {MAX_DEPTH} deep")
    if found.get("v") != VERSION:
        raise BusError(f"version {found.get('v')!r:.20} is not spoken here, {VERSION} is")
    return found


def asked_in(body: bytes) -> tuple[Id, int | None]:
    """`id` and `conn_id` of a message that may be wrong in all else: so that its error finds the asker."""
    try:
        found = read_map(body)
    except BusError:
        return None, None
    asked, conn_id = found.get("id"), found.get("conn_id")
    return (
        asked if _is_int(asked) or isinstance(asked, str) else None,
        conn_id if _is_int(conn_id) else None,
    )


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INT


Read = Callable[[Any], Any]
_SCALARS = frozenset({bytes, int, str, bool, types.NoneType})
_MISSING = object()
_INTS = range(MAX_INT + 1)


class _Field(NamedTuple):
    """A field of a message. A value of the type `kind` is taken as it is, all others are read."""

    name: str
    kind: type | None
    read: Read
    needed: bool


class _Layout:
    """The fields of a message, or of a part of one. Hot: both ways of every message of a bus."""

    def __init__(self, cls: type[Any]) -> None:
        hints = typing.get_type_hints(cls)
        self.fields = [
            _Field(
                f.name,
                _kind(hints[f.name]),
                _reader(hints[f.name]),
                f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING,
            )
            for f in dataclasses.fields(cls)
        ]
        self.names = [f.name for f in self.fields]
        self.is_flat = all(f.kind is not None for f in self.fields)


_layouts: dict[Any, _Layout] = {}


def _layout(cls: type[Any]) -> _Layout:
    if cls not in _layouts:
        _layouts[cls] = _Layout(cls)
    return _layouts[cls]


def _from_map(cls: type[Any], found: dict[str, Any]) -> Any:
    values = {}
    for name, kind, read, needed in _layout(cls).fields:
        value = found.get(name, _MISSING)
        if type(value) is kind and (kind is not int or value in _INTS):
            values[name] = value
        elif value is not _MISSING:
            try:
                values[name] = read(value)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from error
        elif needed:
            raise ValueError(f"{name} is missing")
    return cls(**values)


def _to_map(value: Any) -> dict[str, Any]:
    layout = _layout(type(value))
    if layout.is_flat:
        return {name: getattr(value, name) for name in layout.names}
    return {name: _plain(getattr(value, name)) for name in layout.names}


def _plain(value: Any) -> Any:
    if type(value) in _SCALARS:  # nearly always
        return value
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return _to_map(value) if dataclasses.is_dataclass(value) else value


def _kind(hint: Any) -> type | None:
    """The scalar type of a field that has one, perhaps with None besides."""
    kinds = set(typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)) - {types.NoneType}
    (kind, *others) = kinds
    return kind if kind in _SCALARS and not others else None


def _reader(hint: Any) -> Read:
    if dataclasses.is_dataclass(hint):
        return functools.partial(_read_nested, typing.cast(type[Any], hint))
    if typing.get_origin(hint) is list:
        return functools.partial(_read_list, _reader(typing.get_args(hint)[0]))
    if isinstance(hint, types.UnionType):
        kinds = tuple(part for part in typing.get_args(hint) if part is not type(None))
        return functools.partial(
            _read_optional, [_reader(kind) for kind in kinds], " or ".join(k.__name__ for k in kinds)
        )
    return functools.partial(_read_plain, hint)


def _read_nested(cls: type[Any], value: Any) -> Any:
    if not isinstance(value, dict):
        raise TypeError(f"{type(value).__name__} instead of a map")
    return _from_map(cls, value)


def _read_list(read: Read, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} instead of a list")
    if len(value) > MAX_NODES_NAMED:
        raise ValueError(f"{len(value)} are too many, {MAX_NODES_NAMED} may be")
    return [read(part) for part in value]


def _read_optional(readers: list[Read], names: str, value: Any) -> Any:
    if value is None:
        return None
    for read in readers:
        try:
            return read(value)
        except TypeError:
            continue
    raise TypeError(f"{type(value).__name__} instead of {names}")


def _read_plain(kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{type(value).__name__} instead of {kind.__name__}")
    if isinstance(value, int) and not 0 <= value <= MAX_INT:
        raise ValueError(f"{value} is out of range")
    return value
