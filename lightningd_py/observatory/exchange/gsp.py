"""GSP, lntopo's format of archives: `GSP` and 01, then each message behind its length, a BigSize in big-endian."""

import bz2
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.cursor import encode_bigsize

HEAD = b"GSP\x01"
LONGEST = 65_535
"""Bytes of a message, its type included."""
_WIDTHS = {0xFD: 2, 0xFE: 4, 0xFF: 8}


def write_gsp(out: BinaryIO, messages: Iterable[bytes]) -> int:
    """Returns how many messages."""
    out.write(HEAD)
    count = 0
    for raw in messages:
        out.write(encode_bigsize(len(raw)) + raw)
        count += 1
    return count


def read_gsp(path: Path) -> Iterator[bytes]:
    """The messages of a file, which may be packed with bzip2.

    Raises ObservatoryError for what is no GSP or is cut off, after the whole messages before that.
    """
    with bz2.open(path) if _is_packed(path) else path.open("rb") as file:
        try:
            yield from _messages(path, file)
        except (EOFError, OSError) as error:
            raise ObservatoryError(f"{path} is damaged: {error}") from error


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(3) == b"BZh"


def _messages(path: Path, file: "BinaryIO | bz2.BZ2File") -> Iterator[bytes]:
    if file.read(len(HEAD)) != HEAD:
        raise ObservatoryError(f"{path} is no GSP file: it does not begin with GSP and 01")
    count = 0
    while first := file.read(1):
        length = first[0]
        if length in _WIDTHS:
            length = int.from_bytes(file.read(_WIDTHS[length]), "big")
        if not 2 <= length <= LONGEST:
            raise ObservatoryError(f"{path}: message {count + 1} cannot be {length} bytes long: is it little-endian?")
        raw = file.read(length)
        if len(raw) < length:
            raise ObservatoryError(f"{path} is cut off in message {count + 1}")
        count += 1
        yield raw
