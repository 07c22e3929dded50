"""The codec of control messages: a message is declared as a class, and its declaration says how it travels.

A message is a msgpack array `[number, field, ...]` in one SEQPACKET datagram; a field of type `Fd` travels as
SCM_RIGHTS in the same datagram, and its place in the array holds true, or nil where there is none. The messages
themselves are declared in `wire.control.control_wire`; only what a process has imported can be decoded by it.

A message fits one datagram unless its declaration says how large it may be. What has been decoded is looked at by its
declaration, no deeper than that goes, so that nothing depends on how deeply a sender nests its lists.
"""

import dataclasses
import functools
import operator
import os
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any, ClassVar, NamedTuple, NewType, dataclass_transform

import msgpack

from wire.start.late_dataclass import dataclass
from wire.types import ByFields

Fd = NewType("Fd", int)
"""A file descriptor that belongs to its message: its sender gives it away, its receiver owns it."""


MAX_INLINE = 128 * 1024
"""Bytes of a message in one datagram: what may have more says so, and then travels as a memfd."""
BYTES_FOR_A_LIST = 8
"""A message of more than MAX_INLINE bytes has no more lists than one for so many of its bytes: an empty one takes one
byte, and 64 in memory."""
HEAD_SIZE = 16
"""Bytes in which a message's number stands."""

_pack = msgpack.Packer().pack
"""One for all: to make a packer takes half as long as to use it."""


class ControlError(Exception):
    """A datagram that is no message of ours, or that its sender may not say. Our own bug, or a foreign program's."""


@dataclass_transform(field_specifiers=(field,))
class ControlMessage(ByFields):
    """Base of all control messages. `number`, `senders` and `largest`, in bytes, come from the class statement."""

    number: ClassVar[int] = 0
    senders: ClassVar[frozenset[str]] = frozenset()
    largest: ClassVar[int] = MAX_INLINE
    aliases: ClassVar[tuple[str, ...]] = ()
    registry: ClassVar[dict[int, type["ControlMessage"]]] = {}

    def __init_subclass__(
        cls,
        *,
        number: int = 0,
        sender: str | tuple[str, ...] = (),
        aliases: tuple[str, ...] = (),
        largest: int = MAX_INLINE,
    ) -> None:
        dataclass(cls, repr=False, eq=False)
        if number:
            if number in cls.registry:
                raise TypeError(f"control message {number} is declared twice")
            cls.number = number
            cls.senders = frozenset((sender,) if isinstance(sender, str) else sender)
            cls.aliases = aliases
            cls.largest = largest
            cls.registry[number] = cls

    @classmethod
    @functools.cache
    def name(cls) -> str:
        """`reach_peer` for ReachPeer: how the message is called in logs and documents."""
        return "".join("_" + c.lower() if c.isupper() else c for c in cls.__name__).lstrip("_")

    def encode(self) -> tuple[bytes, list[int]]:
        """The datagram and the fds that go with it."""
        fds: list[int] = []
        return _pack([self.number, *_layout(type(self)).pack(self, fds)]), fds

    @staticmethod
    def decode(datagram: bytes, fds: list[int], sender: str) -> "ControlMessage":
        """The message in `datagram`, as said by `sender`; takes the fds that it declares out of `fds`.

        Raises ControlError for anything that is not exactly a declared message that this sender may say; the caller
        still owns whatever is left in `fds`, and closes it.
        """
        try:
            number, *values = _unpack(datagram)
            cls = ControlMessage.registry[number]
        except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            raise _no_message(datagram, sender) from error
        cls.check_sender(sender)
        layout, left = _layout(cls), list(fds)
        if len(values) != len(layout.names):
            raise ControlError(f"{sender} sent {cls.name()} with {len(values)} fields instead of {len(layout.names)}")
        try:
            message: ControlMessage = layout.make(values, left)
        except (TypeError, ValueError, IndexError) as error:
            raise ControlError(f"{sender} sent {cls.name()} with a wrong field: {error}") from error
        if left:
            raise ControlError(f"{sender} sent {cls.name()} with {len(left)} fds too many")
        fds.clear()
        return message

    @classmethod
    def check_sender(cls, sender: str) -> None:
        """Raises ControlError if `sender` may not say this."""
        if sender not in cls.senders:
            raise ControlError(f"{sender} may not say {cls.name()}")

    @staticmethod
    def kind_of(head: bytes, sender: str) -> type["ControlMessage"]:
        """What the message is that begins with `head`, HEAD_SIZE bytes of it. Raises ControlError as `decode` does."""
        unpacker = msgpack.Unpacker(max_buffer_size=HEAD_SIZE)
        unpacker.feed(head)
        try:
            unpacker.read_array_header()
            cls = ControlMessage.registry[unpacker.unpack()]
        except (ValueError, TypeError, KeyError, msgpack.UnpackException) as error:
            raise _no_message(head, sender) from error
        cls.check_sender(sender)
        return cls

    def close_fds(self) -> None:
        """Close every fd that the message holds: for a message without a receiver."""
        _, fds = self.encode()
        for fd in fds:
            os.close(fd)


def declarations() -> list[tuple[int, str]]:
    """Each message as it is declared here: to be compared with another version's."""
    return [(number, f"{kind.name()}{_declared(kind)}") for number, kind in sorted(ControlMessage.registry.items())]


def _declared(hint: Any) -> str:
    """A type with all that travels for it, in order."""
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return f"({', '.join(f'{part.name}: {_declared(hints[part.name])}' for part in dataclasses.fields(hint))})"
    name = "one of" if typing.get_origin(hint) in (types.UnionType, typing.Union) else getattr(hint, "__name__", "?")
    arguments = typing.get_args(hint)
    return f"{name}[{', '.join(map(_declared, arguments))}]" if arguments else name


def _no_message(data: bytes, sender: str) -> ControlError:
    return ControlError(f"{sender} sent no control message: {data[:32].hex()}")


def _unpack(datagram: bytes) -> Any:
    """What msgpack makes of it, in a bounded amount of memory. Raises what msgpack does."""
    if len(datagram) <= MAX_INLINE:
        return msgpack.unpackb(datagram, max_map_len=0, max_ext_len=0)
    left = len(datagram) // BYTES_FOR_A_LIST

    def counted(parts: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise ValueError("too many lists")
        return parts

    return msgpack.unpackb(datagram, max_map_len=0, max_ext_len=0, list_hook=counted, object_hook=counted)


Pack = Callable[[Any, list[int]], Any]
Unpack = Callable[[Any, list[int]], Any]


class _Codec(NamedTuple):
    """How values of one type travel: as they are, or through functions. `plain`: the types that one may have on arrival
    to be taken as it is; else `unpack` has to look at it."""

    plain: frozenset[type] = frozenset()
    pack: Pack | None = None
    unpack: Unpack | None = None


class _Row:
    """Values of certain types, one after another. Most are plain, and cost one look at their type."""

    def __init__(self, codecs: list[_Codec]) -> None:
        self._size = len(codecs)
        self._plain = [(place, codec.plain) for place, codec in enumerate(codecs) if codec.unpack is None]
        self._packs = [(place, codec.pack) for place, codec in enumerate(codecs) if codec.pack is not None]
        self._unpacks = [(place, codec.unpack) for place, codec in enumerate(codecs) if codec.unpack is not None]

    def pack(self, values: list[Any], fds: list[int]) -> list[Any]:
        """The same list, changed into what msgpack takes; fds are appended to `fds`."""
        for place, pack in self._packs:
            values[place] = pack(values[place], fds)
        return values

    def unpack(self, values: Any, fds: list[int]) -> list[Any]:
        """The same list, changed back from what msgpack has given. Raises TypeError, IndexError."""
        if type(values) is not list:
            raise _wrong(values, (list,))
        if len(values) != self._size:
            raise TypeError(f"{len(values)} values instead of {self._size}")
        for place, plain in self._plain:
            if type(values[place]) not in plain:
                raise _wrong(values[place], plain)
        for place, unpack in self._unpacks:
            values[place] = unpack(values[place], fds)
        return values


class _Layout:
    """The fields of a dataclass in the order in which they travel."""

    def __init__(self, cls: type[Any]) -> None:
        hints = typing.get_type_hints(cls)
        fields = dataclasses.fields(cls)
        self.names = tuple(field.name for field in fields)
        self._row = _Row([_codec(hints[name]) for name in self.names])
        self.unpack = self._row.unpack
        self._values: Callable[[Any], Any] = operator.attrgetter(*self.names) if len(fields) > 1 else self._few
        self._cls = cls
        self._keywords = sum(field.kw_only is True for field in fields)
        """The first ones, if there are any: what stands in a base class."""

    def _few(self, message: Any) -> list[Any]:
        return [getattr(message, name) for name in self.names]

    def pack(self, message: Any, fds: list[int]) -> list[Any]:
        """The values of the fields as msgpack takes them."""
        return self._row.pack(list(self._values(message)), fds)

    def make(self, values: Any, fds: list[int]) -> Any:
        """The dataclass of what msgpack has given. Raises TypeError, IndexError."""
        values, keywords = self.unpack(values, fds), self._keywords
        if not keywords:
            return self._cls(*values)
        return self._cls(*values[keywords:], **dict(zip(self.names, values[:keywords], strict=False)))


_layouts: dict[Any, _Layout] = {}


def _layout(cls: type[Any]) -> _Layout:
    if cls not in _layouts:
        _layouts[cls] = _Layout(cls)
    return _layouts[cls]


def _codec(hint: Any) -> _Codec:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Fd:
        return _Codec(pack=_pack_fd, unpack=_unpack_fd)
    if dataclasses.is_dataclass(hint):
        return _nested_codec(typing.cast(type[Any], hint))
    if origin in (types.UnionType, typing.Union):
        (inner,) = (argument for argument in arguments if argument is not types.NoneType)
        return _optional_codec(_codec(inner))
    if origin is list:
        return _list_codec(_codec(arguments[0]))
    if origin is tuple:
        return _tuple_codec([_codec(argument) for argument in arguments])
    if hint not in (bool, bytes, float, int, str):
        raise TypeError(f"{hint} has no way to travel")
    return _Codec(plain=frozenset((int, float) if hint is float else (hint,)))


def _wrong(value: Any, plain: Iterable[type]) -> TypeError:
    return TypeError(f"{type(value).__name__} instead of {' or '.join(sorted(kind.__name__ for kind in plain))}")


def _pack_fd(value: int, fds: list[int]) -> bool:
    fds.append(value)
    return True


def _unpack_fd(value: Any, fds: list[int]) -> int:
    if value is not True:
        raise TypeError("no fd where one is declared")
    return fds.pop(0)


def _nested_codec(cls: type[Any]) -> _Codec:
    layout = _layout(cls)
    return _Codec(pack=layout.pack, unpack=layout.make)


def _optional_codec(inner: _Codec) -> _Codec:
    pack, unpack = inner.pack, inner.unpack
    return _Codec(
        inner.plain | {types.NoneType},
        pack and (lambda value, fds: None if value is None else pack(value, fds)),
        unpack and (lambda value, fds: None if value is None else unpack(value, fds)),
    )


def _list_codec(inner: _Codec) -> _Codec:
    pack, unpack, plain = inner.pack, inner.unpack, inner.plain

    def unpack_all(value: Any, fds: list[int]) -> Any:
        if type(value) is not list:
            raise _wrong(value, (list,))
        if unpack is not None:
            return [unpack(part, fds) for part in value]
        for part in value:
            if type(part) not in plain:
                raise _wrong(part, plain)
        return value

    return _Codec(pack=pack and (lambda value, fds: [pack(part, fds) for part in value]), unpack=unpack_all)


def _tuple_codec(inner: list[_Codec]) -> _Codec:
    row = _Row(inner)
    return _Codec(
        pack=lambda value, fds: row.pack(list(value), fds), unpack=lambda value, fds: tuple(row.unpack(value, fds))
    )


class Request(ControlMessage):
    """A message that is answered: the channel numbers it, and the reply carries the number back."""

    request_id: int = field(default=0, kw_only=True)


class Reply(ControlMessage):
    """The answer to the request of that number."""

    request_id: int = field(default=0, kw_only=True)


class Refusal(Reply):
    """The answer to a request that could not be done, with one sentence that says why."""

    error: str
