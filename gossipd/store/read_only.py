"""A gossip_store that another process writes, open to be read: what the gossmap library looks at.

The file is read, never mapped: a look at a mapping of a file that is cut from outside, at whatever moment, would end
the process. What is not there any more, or is not what was written, is a StoreError.
"""

import mmap
import os
import struct
import weakref
from collections.abc import Callable
from pathlib import Path

from gossipd.store.file import StoreError
from gossipd.store.records import BEGINNING_SIZE, HEADER, HEADER_AND_TYPE, HEADER_SIZE, SMALLEST_RECORD, Buffer, crc_of

READ_AHEAD = 512
"""Bytes that are read with a header: nearly all messages are shorter."""


class StoreFile:
    """One file, whatever becomes of its name. It is closed when the last one who looks at it has gone."""

    __slots__ = ("__weakref__", "_fd", "_path", "is_damaged")

    def __init__(self, path: Path, fd: int) -> None:
        """`fd` is ours from now on; `path` is for sentences."""
        self._path = path
        self._fd = fd
        self.is_damaged = False
        """A record was asked for that is not what was written any more."""
        weakref.finalize(self, os.close, fd)

    @property
    def size(self) -> int:
        """In bytes, at this moment."""
        return os.fstat(self._fd).st_size

    def is_at(self, path: Path) -> bool:
        """Whether this is the file at that path. Raises FileNotFoundError, OSError."""
        return os.path.samestat(path.stat(), os.fstat(self._fd))

    def is_file(self, fd: int) -> bool:
        """Whether an fd is of this file."""
        return os.path.samestat(os.fstat(fd), os.fstat(self._fd))

    def beginning(self) -> bytes:
        """The version byte and the first record, without its flags, which change; less if there is less."""
        data = os.pread(self._fd, BEGINNING_SIZE, 0)
        return data[:1] + data[3:]

    def content(self, start: int, end: int) -> tuple[Buffer, int]:
        """The bytes from `start` to `end`, at their offsets in the file, and where they end: before `end` if the file
        is shorter by now. What is before `start` is zeros, which take no memory.
        """
        data = mmap.mmap(-1, end, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        at = start
        with memoryview(data) as view:
            while at < end:
                with view[at:end] as rest:
                    count = os.preadv(self._fd, [rest], at)
                if not count:
                    break
                at += count
        return data, at

    def message(self, offset: int, kind: int, about: Callable[[bytes], object], whom: object) -> bytes:
        """The raw message of the record at `offset`: of that type, and about that one. Raises StoreError, OSError."""
        data = os.pread(self._fd, READ_AHEAD, offset)
        if len(data) == READ_AHEAD and (size := HEADER_SIZE + int(HEADER.unpack_from(data)[1])) > READ_AHEAD:
            data = os.pread(self._fd, size, offset)
        if message := _message(data, 0, kind, about, whom):
            return message
        raise self.damage(offset + HEADER_SIZE)

    def ahead(self, offsets: list[int]) -> "StoreFile | Ahead":
        """For reads of the records at these offsets: with all of them in memory, if they lie close together. Raises
        OSError."""
        first, last = min(offsets), max(offsets) + READ_AHEAD
        if last - first > len(offsets) * READ_AHEAD:
            return self
        return Ahead(self, first, os.pread(self._fd, last - first, first))

    def flags(self, offset: int) -> int:
        """Of the record's header, as they are now. Raises StoreError, OSError."""
        data = os.pread(self._fd, HEADER_SIZE, offset)
        if len(data) < HEADER_SIZE:
            raise self.damage(offset + HEADER_SIZE)
        return int(HEADER.unpack(data)[0])

    def damage(self, needed: int) -> StoreError:
        """What is to be raised when a record of which `needed` bytes have to be there is none."""
        self.is_damaged = True
        size = self.size
        if size < needed:
            return StoreError(f"{self._path} was cut to {size} bytes while it was read.")
        return StoreError(f"{self._path} was changed from outside while it was read.")


class Ahead:
    """A part of a file that was read in one go: a fifth of the cost of a read for each record."""

    __slots__ = ("_data", "_file", "_start")

    def __init__(self, file: StoreFile, start: int, data: bytes) -> None:
        self._file = file
        self._start = start
        self._data = data

    def message(self, offset: int, kind: int, about: Callable[[bytes], object], whom: object) -> bytes:
        """As StoreFile's, which is asked for what is not here, or not whole."""
        message = _message(self._data, offset - self._start, kind, about, whom) if offset >= self._start else b""
        return message or self._file.message(offset, kind, about, whom)

    def flags(self, offset: int) -> int:
        """As they are now. Raises StoreError, OSError."""
        return self._file.flags(offset)

    def damage(self, needed: int) -> StoreError:
        """As StoreFile's."""
        return self._file.damage(needed)


def _message(data: bytes, at: int, kind: int, about: Callable[[bytes], object], whom: object) -> bytes:
    """That of the record at that place; b"" if it is not whole, or not what it should be: where a file is written over,
    another may lie there.
    """
    if len(data) - at < SMALLEST_RECORD:
        return b""
    _, length, crc, timestamp, found = HEADER_AND_TYPE.unpack_from(data, at)
    message = data[at + HEADER_SIZE : at + HEADER_SIZE + length]
    if found != kind or len(message) != length or crc_of(timestamp, message) != crc:
        return b""
    try:
        return message if about(message) == whom else b""
    except (struct.error, IndexError):
        return b""
