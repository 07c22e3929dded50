"""What one version of a daemon leaves to the next one: dataclasses as maps, by the names of their fields.

Unlike a control message, whose two ends are of one version, a state is read by what was installed later (or, after a
downgrade, earlier): a field that the reader does not know is ignored, one that is missing has its default. Each state
begins with the number of its kind's version; a reader refuses a version that it does not know.
"""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, TypeVar

import msgpack

from wire.control.control_message import Fd

T = TypeVar("T")


class StateError(Exception):
    """This is no such state, or one of a newer version; one sentence."""


def dump(state: Any, version: int) -> bytes:
    """A dataclass of int, float, str, bytes, bool, None, lists, tuples and dataclasses."""
    return bytes(msgpack.packb([version, _plain(state)]))


def load(kind: Callable[..., T], data: bytes, newest: int) -> T:
    """The state in `data`, written by any version up to `newest`. Raises StateError."""
    try:
        version, fields = msgpack.unpackb(data, max_ext_len=0)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise StateError(f"no state of {_name(kind)}: {error}") from error
    if not isinstance(version, int) or not 1 <= version <= newest:
        raise StateError(f"{_name(kind)} is of version {version!r}, and {newest} is the newest that is known here")
    try:
        return typing.cast(T, _reader(kind)(fields))
    except (ValueError, TypeError, RecursionError) as error:
        raise StateError(f"no state of {_name(kind)}: {error}") from error


def fds_in(state: Any) -> Iterator[Fd]:
    """The numbers in every field of type `Fd`, wherever it is: a state that stays in its process may have such."""
    if isinstance(state, list | tuple):
        for each in state:
            yield from fds_in(each)
    elif dataclasses.is_dataclass(state):
        hints = typing.get_type_hints(type(state))
        for part in dataclasses.fields(state):
            value, hint = getattr(state, part.name), hints[part.name]
            if value is not None and (hint is Fd or Fd in typing.get_args(hint)):
                yield from value if isinstance(value, list) else [value]
            else:
                yield from fds_in(value)


def _name(kind: Callable[..., object]) -> str:
    return getattr(kind, "__name__", "?")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {part.name: _plain(getattr(value, part.name)) for part in dataclasses.fields(value)}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


Reader = Callable[[Any], Any]


@cache
def _reader(kind: Any) -> Reader:
    """What makes a value of this type of what msgpack has read. It raises ValueError for anything else."""
    kind = _plain_type(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass_reader(typing.cast(type, kind))
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _union_reader([_reader(part) for part in parts])
    if origin is list:
        return _list_reader(_reader(parts[0]))
    if origin is tuple:
        return _tuple_reader([_reader(part) for part in parts])
    return _scalar_reader(kind)


def _scalar_reader(kind: Any) -> Reader:
    accepted = (int, float) if kind is float else kind

    def read(value: Any) -> Any:
        if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{type(value).__name__} where {kind.__name__} belongs")
        return value

    return read


def _union_reader(readers: list[Reader]) -> Reader:
    def read(value: Any) -> Any:
        reasons = []
        for reader in readers:
            try:
                return reader(value)
            except (ValueError, TypeError) as error:  # the latter from a class that lacks a field
                reasons.append(str(error))
        raise ValueError(", ".join(reasons))

    return read


def _list_reader(reader: Reader) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError(f"{type(value).__name__} where a list belongs")
        return [reader(each) for each in value]

    return read


def _tuple_reader(readers: list[Reader]) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != len(readers):
            raise ValueError(f"a list of {len(readers)} was expected")
        return tuple(reader(each) for reader, each in zip(readers, value, strict=True))

    return read


def _dataclass_reader(kind: type) -> Reader:
    hints = typing.get_type_hints(kind)
    readers = {part.name: _reader(hints[part.name]) for part in dataclasses.fields(kind)}

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ValueError(f"{type(value).__name__} where {kind.__name__} belongs")
        known = {name: reader(value[name]) for name, reader in readers.items() if name in value}
        return kind(**known)

    return read


def _plain_type(hint: Any) -> Any:
    """The type behind a NewType."""
    return getattr(hint, "__supertype__", hint)
