"""What the writer of a gossip_store reads of it: records that were written, or wait in the buffer.

The file is read, never mapped: one that is cut from outside, at whatever moment, is found to be short, gets its size
again, and what is missing is `damaged`. A look at a mapping of it would end the process. What does not have its CRC is
damaged, too. It is bridged by deleted records, and the index has to forget what was there.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from gossipd.store.file import write_all
from gossipd.store.records import (
    COMPLETED,
    DELETED,
    FIRST_RECORD,
    HEADER,
    HEADER_AND_TYPE,
    HEADER_SIZE,
    SMALLEST_RECORD,
    crc_of,
    fillers,
)
from gossipd.store.windows import LONGEST_RECORD, good_until, next_good, windows

Watcher = Callable[[int], None]
"""Gets the offset of a record whose header was changed in the file."""

ScannedRecord = tuple[int, int, int, bytes, int]
"""flags, timestamp, type, message, offset of the following record."""

READ_AHEAD = 1 << 10
"""Bytes that are read with a record, or behind a stretch of them: more than most records have."""
_STATE = COMPLETED | DELETED


def unwatched(offset: int) -> None:
    """The watcher of changed headers while there is no other."""


class StoreReading:
    """Half of `writer.GossipStore`. Offsets are those of record headers; OSError from the disk."""

    def __init__(self, path: Path, fd: int, end: int) -> None:
        """`fd` is owned from here on; `end` is where the good records end."""
        self.path = path
        self._fd = fd
        self._end = end
        self.dead_bytes = 0
        """Size of the records that are marked deleted or are of use to followers only: what compaction would save.
        Counted from the opening on; `loading.load` adds what was there before."""
        self.damaged: list[tuple[int, int]] = []
        """Stretches of the file that were found not to be what was written, and are bridged: (start, stop)."""
        self._checked = FIRST_RECORD
        """Records before this have been served once, and were what was written."""
        self._buffer = bytearray()
        self._flag_changes: dict[int, int] = {}
        self._watcher: Watcher = unwatched
        self.on_damage: Callable[[], None] = lambda: None
        """Called when there is something more in `damaged`."""

    def flags(self, offset: int) -> int:
        """The record's flags as they will be when all that is buffered is written."""
        flags = int(HEADER.unpack(self._bytes_at(offset, HEADER_SIZE))[0])
        return flags | COMPLETED | self._flag_changes.get(offset, 0)

    def timestamp(self, offset: int) -> int:
        """The timestamp in the record's header."""
        return int(HEADER.unpack(self._bytes_at(offset, HEADER_SIZE))[3])

    def read(self, offset: int) -> bytes:
        """The raw message at that record, written or buffered; b"" if it is not what was written any more.

        Raises ValueError if no record can be there.
        """
        if FIRST_RECORD <= offset < self._end:
            data = os.pread(self._fd, READ_AHEAD, offset)
            if len(data) >= HEADER_SIZE:
                _, length, crc, timestamp = HEADER.unpack_from(data)
                message = data[HEADER_SIZE : HEADER_SIZE + length]
                if len(message) == length and crc_of(timestamp, message) == crc:
                    return message
        _, _, crc, timestamp, message = self._record(offset)
        return message if crc_of(timestamp, message) == crc else b""

    def serve(self, offset: int) -> bytes | None:
        """The same to be told to a peer. None if it is not what was written, and is bridged then (`damaged`)."""
        flags, length, crc, timestamp, message = self._record(offset)
        if crc_of(timestamp, message) == crc and length >= 2 and not flags & DELETED:
            return message
        if offset < self._end and not any(start <= offset < stop for start, stop in self.damaged):
            self._bridge(offset, next_good(self._fd, offset, self._end))
        return None

    def scan(self, offset: int, limit: int, last_type: int = 0xFFFF) -> tuple[list[ScannedRecord], int]:
        """The records of the next `limit` bytes of the file that are not deleted, of types up to `last_type`, and the
        offset to go on from.

        The hot path of serving. What is served for the first time is checked, and bridged if it is not what was
        written: see `damaged`. At least one record is passed over unless `offset` is `end`; each carries the offset
        behind it, so a reader can stop anywhere. Dying records and the store's own types are among them.
        """
        data, unpack, known = self.window(offset, limit), HEADER_AND_TYPE.unpack_from, len(self.damaged)
        at, size = 0, len(data)
        stop = min(limit, self._end - offset)
        last, check = min(stop - 1, size - SMALLEST_RECORD), offset + stop > self._checked
        records: list[ScannedRecord] = []
        keep = records.append
        while at <= last:
            flags, length, crc, timestamp, kind = unpack(data, at)
            message = at + HEADER_SIZE
            following = message + length
            if following <= size:
                state = flags & _STATE
                if state == COMPLETED:
                    raw = data[message:following]
                    if not check or crc_of(timestamp, raw) == crc:
                        if kind <= last_type:
                            keep((flags, timestamp, kind, raw, offset + following))
                        at = following
                        continue
                elif state == _STATE:
                    at = following
                    continue
            elif at and offset + following <= self._end:
                break  # the next window has the whole of it
            following = self._bridge(offset + at, next_good(self._fd, offset + at, self._end)) - offset
            at = following
        if check and offset <= self._checked and known == len(self.damaged):
            self._checked = max(self._checked, offset + at)
        return self._as_it_will_be(records) if self._flag_changes else records, offset + at

    def window(self, offset: int, limit: int) -> bytes:
        """What the file has from a record's offset on: that record whole, and `limit` bytes and some more if it has
        so many.
        """
        left = self._end - offset
        data = self._from_file(offset, min(limit + READ_AHEAD, left))
        if len(data) >= HEADER_SIZE:
            wanted = min(HEADER_SIZE + int(HEADER.unpack_from(data)[1]), left)
            if wanted > len(data):
                data = self._from_file(offset, wanted)
        return data

    def _as_it_will_be(self, records: list[ScannedRecord]) -> list[ScannedRecord]:
        """With the flags that wait for the batch: who looks at the map besides has that before the file has."""
        changes = self._flag_changes
        marked = []
        for flags, timestamp, kind, message, following in records:
            changed = flags | changes.get(following - HEADER_SIZE - len(message), 0)
            if not changed & DELETED:
                marked.append((changed, timestamp, kind, message, following))
        return marked

    def chunks(self) -> Iterator[bytes]:
        """All that is in the file."""
        return windows(self._fd, self._end)

    def mend(self) -> None:
        """If the file was cut from outside: give it its size again. What is missing is damaged."""
        size = os.fstat(self._fd).st_size
        if size < self._end:
            os.ftruncate(self._fd, self._end)
            self._bridge(good_until(self._fd, size), self._end)

    def _bridge(self, start: int, stop: int) -> int:
        """Mark a bad stretch as deleted; returns where it ends."""
        if stop - start >= SMALLEST_RECORD:  # else a reader has stopped in the middle of what was bridged before
            with contextlib.suppress(OSError):  # then it is found again
                for offset, header in fillers(start, stop):
                    write_all(self._fd, header, offset)
                    self._watcher(offset)
        self.damaged.append((start, stop))
        self.dead_bytes += stop - start
        self.on_damage()
        return stop

    def _from_file(self, offset: int, length: int) -> bytes:
        """Bytes before `end`, be the file cut or not."""
        while len(data := os.pread(self._fd, length, offset)) < length:
            self.mend()
        return data

    def _bytes_at(self, offset: int, length: int) -> bytes:
        """Bytes of the file or, from its end on, of the buffer."""
        if offset >= self._end:
            found = bytes(self._buffer[offset - self._end : offset - self._end + length])
        else:
            found = self._from_file(offset, min(length, self._end - offset))
        if len(found) != length or offset < FIRST_RECORD:
            raise ValueError(f"no record at offset {offset} of {self.path}")
        return found

    def _record(self, offset: int) -> tuple[int, int, int, int, bytes]:
        """Flags, length, CRC, timestamp, and the message as far as it is there."""
        if offset < FIRST_RECORD or offset + HEADER_SIZE > self._end + len(self._buffer):
            raise ValueError(f"no record at offset {offset} of {self.path}")
        if offset < self._end:
            data = self.window(offset, 0)
        else:
            start = offset - self._end
            data = bytes(self._buffer[start : start + LONGEST_RECORD])
        flags, length, crc, timestamp = HEADER.unpack_from(data)
        return flags, length, crc, timestamp, data[HEADER_SIZE : HEADER_SIZE + length]

    def _length_and_type(self, offset: int) -> tuple[int, int]:
        _, length, _, _, kind = HEADER_AND_TYPE.unpack(self._bytes_at(offset, HEADER_AND_TYPE.size))
        return length, kind
