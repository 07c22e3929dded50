"""Parameters of JSON-RPC commands: how each is read from its JSON value, with CLN's words for what is wrong.

A parser gets the JSON value and gives what the handler wants, or raises ValueError with words that fit after the
parameter's name: "should be a node id". Numbers and booleans may come as strings, as from a shell; what is hex in JSON
may come as bytes, as on the API bus.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from lightningd_py.rpc.json_stream import Number
from wire.address import WireAddr, parse_peer
from wire.scid import scid_from_text
from wire.secp256k1 import is_point
from wire.start.late_dataclass import dataclass

Parser = Callable[[Any], Any]


class RpcError(Exception):
    """The answer to a request that could not be done. `code` is CLN's; `data` is any JSON value, or None."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.data = data

    @property
    def content(self) -> dict[str, Any]:
        """The answer's `error`."""
        content = {"code": self.code, "message": self.message}
        return content if self.data is None else content | {"data": self.data}


PARSE_ERROR, INVALID_REQUEST, UNKNOWN_COMMAND, INVALID_PARAMETERS = -32700, -32600, -32601, -32602
INTERNAL_ERROR = -1
"""CLN's code for what has no other."""
WAIT_TIMEOUT = 2000
"""CLN's code for what was waited for and has not come."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a command. Without `required` a missing one, or null, is `default`, which is not parsed."""

    name: str
    parser: Parser
    required: bool = True
    default: Any = None
    about: str = ""
    """What it is: for `help` and docs/json-rpc.md."""

    @property
    def content(self) -> dict[str, Any]:
        """As `help` shows it."""
        shown = {"name": self.name, "required": self.required, "description": self.about}
        return shown if self.default is None else shown | {"default": self.default}


def required(name: str, parser: Parser, about: str) -> Parameter:
    """A parameter that must be there."""
    return Parameter(name, parser, about=about)


def optional(name: str, parser: Parser, about: str, default: Any = None) -> Parameter:
    """A parameter that may be left out."""
    return Parameter(name, parser, required=False, default=default, about=about)


def read_params(parameters: Sequence[Parameter], params: Any) -> dict[str, Any]:
    """The values of all parameters by name, from a list or an object. Raises RpcError -32602."""
    given = _by_name(parameters, params)
    return {parameter.name: _read(parameter, given.get(parameter.name)) for parameter in parameters}


def _by_name(parameters: Sequence[Parameter], params: Any) -> dict[str, Any]:
    names = [parameter.name for parameter in parameters]
    if isinstance(params, list):
        if len(params) > len(names):
            raise RpcError(INVALID_PARAMETERS, f"too many parameters: got {len(params)}, expected {len(names)}")
        return dict(zip(names, params, strict=False))
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMETERS, "Expected array or object for params")
    for name in params:
        if name not in names:
            raise RpcError(INVALID_PARAMETERS, f"unknown parameter: {name}")
    return params


def _read(parameter: Parameter, value: Any) -> Any:
    if value is None:
        if parameter.required:
            raise RpcError(INVALID_PARAMETERS, f"missing required parameter: {parameter.name}")
        return parameter.default
    try:
        return parameter.parser(value)
    except ValueError as error:
        # msgpack has values that JSON has not
        token = value if isinstance(value, Number) else json.dumps(value, default=repr, skipkeys=True)
        token = token if len(token) <= 200 else token[:200] + "..."
        raise RpcError(INVALID_PARAMETERS, f"{parameter.name}: {error}: invalid token '{token}'") from error


def text(value: Any) -> str:
    """A string; a number, true or false is taken as it was written."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError("should be a string")
    words = str(value)
    if any("\ud800" <= letter <= "\udfff" for letter in words):
        raise ValueError("should be Unicode: it has half a surrogate pair")
    return words


def anything(value: Any) -> Any:
    """Any JSON value."""
    return value


def boolean(value: Any) -> bool:
    """true or false."""
    if value is True or value == "true":
        return True
    if value is False or value == "false":
        return False
    raise ValueError("should be 'true' or 'false'")


@dataclass(frozen=True, slots=True)
class OneOf:
    """Exactly one of these words."""

    words: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        if value not in self.words:
            raise ValueError(f"should be {' or '.join(self.words)}")
        return str(value)


def _unsigned(bits: int) -> Parser:
    def parse(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch("[0-9]{1,20}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << bits:
            raise ValueError(f"should be an unsigned {bits} bit integer")
        return value

    return parse


u16 = _unsigned(16)
u32 = _unsigned(32)
u64 = _unsigned(64)


def hex_bytes(value: Any) -> bytes:
    """Bytes in hex. Hex of nothing but digits may come as a number: `lightning-cli` makes it one."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str | int) or not re.fullmatch("([0-9a-fA-F]{2})*", str(value)):
        raise ValueError("should be a hex value")
    return bytes.fromhex(str(value))


def node_id(value: Any) -> bytes:
    """33 bytes, a point on the curve."""
    in_hex = isinstance(value, str) and re.fullmatch("0[23][0-9a-fA-F]{64}", value)
    point = bytes.fromhex(value) if in_hex else value
    if not isinstance(point, bytes) or not is_point(point):
        raise ValueError("should be a node id")
    return point


def peer(default_port: int) -> Parser:
    """`id` or `id@host[:port]`: the node_id, and the address or None."""

    def parse(value: Any) -> tuple[bytes, WireAddr | None]:
        name, at, address = text(value.hex() if isinstance(value, bytes) else value).partition("@")
        point = node_id(name)
        return parse_peer(f"{point.hex()}@{address}", default_port) if at else (point, None)

    return parse


def short_channel_id(value: Any) -> int:
    """BLOCKxTRANSACTIONxOUTPUT, as the number of the wire."""
    try:
        return scid_from_text(text(value))
    except ValueError as error:
        raise ValueError("should be a short_channel_id of form NxNxN") from error
