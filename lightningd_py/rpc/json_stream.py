"""JSON objects back to back on a stream, split apart without knowing what they say.

CLN's framing: requests follow each other with or without white space between, and inside of them. Splitting costs one
look at each byte, however the stream is cut into pieces, and holds at most one object.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_BRACKET = re.compile(rb'["{}\[\]]')
_IN_STRING = re.compile(rb'["\\]')
_SPACE = b" \t\r\n"
MAX_DEPTH = 100
"""Objects and arrays within each other: whatever looks into them by recursion comes to an end at some depth."""


class ParseError(Exception):
    """The stream is not JSON, and where it goes on cannot be known."""


class TooLarge(ParseError):
    """An object is over the limit."""


class JsonSplitter:
    """Cuts a stream of JSON objects (or arrays) into pieces of one each. `limit` is in bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._at = 0
        """The first byte that was not looked at; one past the end after a backslash that ends the buffer."""
        self._depth = 0
        self._in_string = False

    @property
    def rest(self) -> bytes:
        """What was fed and has not been yielded."""
        return bytes(self._buffer)

    @property
    def unfinished(self) -> bool:
        """An object has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take more of the stream; yield the objects that are complete. Raises ParseError."""
        self._buffer += data
        while self._skip_space() and self._find_end():
            piece = bytes(self._buffer[: self._at])
            del self._buffer[: self._at]
            self._at = 0
            yield piece
        if len(self._buffer) > self._limit:
            raise TooLarge(f"over {self._limit} bytes")

    def _skip_space(self) -> bool:
        """Between objects; True if one begins, or is being read."""
        if self._at == 0:
            rest = len(self._buffer.lstrip(_SPACE))
            del self._buffer[: len(self._buffer) - rest]
            if self._buffer and self._buffer[0] not in b"{[":
                raise ParseError("neither an object nor an array")
        return bool(self._buffer)

    def _find_end(self) -> bool:
        """Go on to the end of the object, or of the buffer; True if the object is complete."""
        while self._at < len(self._buffer):
            match = (_IN_STRING if self._in_string else _BRACKET).search(self._buffer, self._at)
            if match is None:
                self._at = len(self._buffer)
                return False
            self._at = match.end()
            self._step(match[0])
            if self._depth == 0:
                return True
        return False

    def _step(self, token: bytes) -> None:
        if token == b"\\":
            self._at += 1
        elif token == b'"':
            self._in_string = not self._in_string
        else:
            self._depth += 1 if token in b"{[" else -1
            if self._depth > MAX_DEPTH:
                raise ParseError(f"nested more than {MAX_DEPTH} deep")


class Number(str):
    """A number that is not the usual way to write an integer, as it was written: `1.50`, `-0`, `1e5`, a long one."""

    __slots__ = ()


_LONGEST_INTEGER = 20
"""Digits of 2^64. Python refuses to read integers of thousands."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[-0-9tfn][^\t\r\n ,\]}"]*', re.DOTALL)
_JSON_PRIMITIVE = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null")


def parse_json(piece: bytes) -> Any:
    """The value of one piece of JsonSplitter's, with what CLN's parser takes besides: a bare word that begins like a
    number or a literal (127.0.0.1, 007) is a string, and control characters may stand in strings.

    Raises ParseError, also for NaN, Infinity and what is no UTF-8.
    """
    try:
        text = piece.decode()
        try:
            return _loads(text)
        except ValueError:
            return _loads(_TOKEN.sub(_quoted, text))
    except ValueError as error:
        raise ParseError(str(error)) from error


def _loads(text: str) -> Any:
    return json.loads(text, strict=False, parse_constant=_refuse, parse_float=Number, parse_int=_integer)


def _integer(digits: str) -> int | Number:
    if len(digits) > _LONGEST_INTEGER:
        return Number(digits)
    number = int(digits)
    return number if str(number) == digits else Number(digits)


def _quoted(token: re.Match[str]) -> str:
    """A bare word that is no JSON as a string."""
    word = token[0]
    return word if word.startswith('"') or _JSON_PRIMITIVE.fullmatch(word) else json.dumps(word)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
