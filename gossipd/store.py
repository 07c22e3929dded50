"""The writer of the gossip_store: append-only, crash-safe, readable by CLN and by pyln-client while it is written.

Records are buffered and go out in batches: one write in which only the first record lacks COMPLETED, then that flag.
Readers stop at the first record that is not completed, so a batch becomes visible at once or not at all, and what a
crash leaves behind is a tail that the next `open` cuts off. Flags of older records (DELETED, DYING) are changed in
place, but never before the batch that was begun earlier is in the file: the update that replaces another one must be
there before the other one goes.

One process writes; followers (gossmap.py, CLN's tools) read the same file through their own descriptors.
"""

import contextlib
import fcntl
import mmap
import os
from pathlib import Path
from typing import Self

from gossipd import upgrade
from gossipd.records import (
    BEGINNING_SIZE,
    CHANNEL_AMOUNT,
    CHANNEL_ANNOUNCEMENT,
    COMPLETED,
    DELETED,
    DYING,
    FIRST_RECORD,
    HEADER,
    HEADER_AND_TYPE,
    HEADER_SIZE,
    OLDEST_VERSION,
    VERSION,
    Walker,
    beginning,
    check_records,
    crc_of,
    ended_message,
    fillers,
    pack_record,
    uuid_of,
    walk_over,
)

NEWEST_READ = 31
"""Minor versions after 16 only add to the format, by CLN's promise; major ones (the upper 3 bits) do not."""

ScannedRecord = tuple[int, int, int, bytes, int]
"""flags, timestamp, type, message, offset of the following record."""


class StoreError(Exception):
    """The store cannot be opened; one sentence for the user."""


class GossipStore:
    """A gossip_store of version 16, open for writing. Offsets are those of record headers; OSError if the disk fails.

    `note` says what `open` had to repair, empty if nothing. `uuid` names this file (32 bytes).
    """

    def __init__(self, path: Path, fd: int, end: int, uuid: bytes, note: str) -> None:
        """Use `open`. `fd` is owned from here on; `end` is where the good records end."""
        self.path = path
        self.uuid = uuid
        self.note = note
        self._fd = fd
        self._end = end
        self._buffer = bytearray()
        self._flag_changes: list[tuple[int, int]] = []
        self._map = _map_file(fd, end)

    @classmethod
    def open(cls, path: Path | str, walker: Walker = check_records) -> Self:
        """Open or begin the store at `path`, repairing what has to be, and lock it for this process.

        `walker` takes every record on the way (an index that is filled, see gossmap.load). A file that cannot be
        read is moved aside to NAME.corrupt and begun anew; StoreError if another process has it, OSError from the disk.
        """
        path = Path(path)
        fd, note = _open_current(path)
        try:
            end, damage = _repair(fd, walker)
            uuid = uuid_of(os.pread(fd, BEGINNING_SIZE, 0))
            return cls(path, fd, end, uuid, "; ".join(filter(None, (note, damage))))
        except BaseException:
            os.close(fd)
            raise

    @property
    def size(self) -> int:
        """The logical size in bytes, what is still buffered included: the offset of the next record."""
        return self._end + len(self._buffer)

    @property
    def end(self) -> int:
        """How much is in the file and visible to followers, in bytes; `scan` goes to here."""
        return self._end

    def close(self) -> None:
        """Flush, unlock, close. Harmless if closed already."""
        if self._fd < 0:
            return
        try:
            self.flush()
        finally:
            fd, self._fd = self._fd, -1
            self._map.close()
            os.close(fd)

    def append(self, raw: bytes, timestamp: int) -> int:
        """Add a message (with its 2-byte type) to the batch; returns its offset. Visible to followers after `flush`.

        `timestamp`: that of the message in seconds; for a channel_announcement that of its first update, 0 before.
        """
        offset = self.size
        self._buffer += pack_record(raw, timestamp, COMPLETED if self._buffer else 0)
        return offset

    def flush(self) -> None:
        """Write the batch and make it visible. If the disk is full: OSError, the file as before, the batch kept."""
        if self._buffer:
            try:
                _write_all(self._fd, bytes(self._buffer), self._end)
                _write_all(self._fd, bytes([self._buffer[0] | COMPLETED >> 8]), self._end)
            except OSError:
                with contextlib.suppress(OSError):  # the first error counts; what stays is an unfinished tail
                    os.ftruncate(self._fd, self._end)
                raise
            self._end += len(self._buffer)
            self._buffer.clear()
        while self._flag_changes:
            self._set_flag_in_file(*self._flag_changes[-1])
            self._flag_changes.pop()

    def sync(self) -> None:
        """Flush and wait until the disk has it."""
        self.flush()
        os.fsync(self._fd)

    def mark_deleted(self, offset: int) -> None:
        """Set DELETED on a record, and on the amount that belongs to a channel_announcement.

        In the file it is done at once if nothing is buffered, else right after the batch (see the module's docstring).
        """
        length, kind = self._length_and_type(offset)
        self._set_flag(offset, DELETED)
        following = offset + HEADER_SIZE + length
        if kind == CHANNEL_ANNOUNCEMENT and self._is_amount(following):
            self._set_flag(following, DELETED)

    def set_dying(self, offset: int) -> None:
        """Set DYING on a channel's record: its output is spent, so it is not sent to peers any more."""
        self._set_flag(offset, DYING)

    def set_timestamp(self, offset: int, timestamp: int) -> None:
        """Give a record another timestamp, with its CRC: a channel_announcement gets that of its first update."""
        flags, length, _, _ = HEADER.unpack(self._bytes_at(offset, HEADER_SIZE))
        message = self._bytes_at(offset + HEADER_SIZE, length)
        header = HEADER.pack(flags, length, crc_of(message, timestamp), timestamp)
        if offset >= self._end:
            self._buffer[offset - self._end : offset - self._end + HEADER_SIZE] = header
        else:
            _write_all(self._fd, header[4:], offset + 4)

    def flags(self, offset: int) -> int:
        """The record's flags as they will be when all that is buffered is written."""
        flags = int(HEADER.unpack(self._bytes_at(offset, HEADER_SIZE))[0]) | COMPLETED
        for changed, flag in self._flag_changes:
            flags |= flag if changed == offset else 0
        return flags

    def read(self, offset: int) -> bytes:
        """The raw message at that record, written or buffered. Raises ValueError if no record can be there."""
        length, _ = self._length_and_type(offset)
        return self._bytes_at(offset + HEADER_SIZE, length)

    def scan(self, offset: int, limit: int) -> tuple[list[ScannedRecord], int]:
        """The records of the next `limit` bytes of the file that are not deleted, and the offset to go on from.

        The hot path of serving. At least one record is passed over unless `offset` is `end`; each carries the offset
        behind it, so a reader can stop anywhere. Dying records and the store's own types are among them.
        """
        if len(self._map) < self._end:
            self._remap()
        data, unpack = self._map, HEADER_AND_TYPE.unpack_from
        stop = min(self._end, offset + limit)
        records: list[ScannedRecord] = []
        keep = records.append
        while offset < stop:
            flags, length, _, timestamp, kind = unpack(data, offset)
            message = offset + 12
            offset = message + length
            if not flags & 0x8000:
                keep((flags, timestamp, kind, data[message:offset], offset))
        return records, offset

    def _remap(self) -> None:
        self._map.close()
        self._map = _map_file(self._fd, self._end)

    def _bytes_at(self, offset: int, length: int) -> bytes:
        """Bytes of the file or, from its end on, of the buffer."""
        if offset >= self._end:
            found = bytes(self._buffer[offset - self._end : offset - self._end + length])
        else:
            if offset + length > len(self._map):
                self._remap()
            found = self._map[offset : offset + length]
        if len(found) != length or offset < FIRST_RECORD:
            raise ValueError(f"no record at offset {offset} of {self.path}")
        return found

    def _length_and_type(self, offset: int) -> tuple[int, int]:
        _, length, _, _, kind = HEADER_AND_TYPE.unpack(self._bytes_at(offset, HEADER_AND_TYPE.size))
        return length, kind

    def _is_amount(self, offset: int) -> bool:
        return offset < self.size and self._length_and_type(offset)[1] == CHANNEL_AMOUNT

    def _set_flag(self, offset: int, flag: int) -> None:
        if offset >= self._end:
            self._buffer[offset - self._end] |= flag >> 8
        elif self._buffer:
            self._flag_changes.append((offset, flag))
        else:
            self._set_flag_in_file(offset, flag)

    def _set_flag_in_file(self, offset: int, flag: int) -> None:
        _write_all(self._fd, bytes([self._bytes_at(offset, 1)[0] | flag >> 8]), offset)


def _open_locked(path: Path) -> int:
    """A descriptor of the file that is at `path`, with its lock held."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
            os.close(fd)  # replaced between open and lock
        except FileNotFoundError:
            os.close(fd)
        except BlockingIOError:
            os.close(fd)
            raise StoreError(f"{path} is in use by another process.") from None


def _open_current(path: Path) -> tuple[int, str]:
    """A locked descriptor of a file of version 16 with a uuid at `path`, and what had to be done for it."""
    fd = _open_locked(path)
    try:
        data = os.pread(fd, BEGINNING_SIZE, 0)
        if data[:1] == bytes([VERSION]) and uuid_of(data):
            return fd, ""
        if data[:1] in (b"", bytes([VERSION])) and len(data) < BEGINNING_SIZE:
            os.ftruncate(fd, 0)
            _write_all(fd, beginning(os.urandom(32)), 0)
            return fd, ""
        replacement = _rewrite(path, fd) if OLDEST_VERSION <= data[0] <= NEWEST_READ else None
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    if replacement is not None:
        return replacement, f"rewritten from version {data[0]} as version {VERSION}"
    aside = path.with_name(path.name + ".corrupt")
    path.replace(aside)
    fd, _ = _open_current(path)
    return fd, f"no gossip_store that can be read (version byte {data[0]}): moved to {aside.name} and begun anew"


def _rewrite(path: Path, old: int) -> int | None:
    """Put what is good in the old file into a new one at `path`; its descriptor, locked, or None if nothing is good."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.unlink(missing_ok=True)
    fd = _open_locked(temporary)
    uuid = os.urandom(32)
    try:
        size = written = _write_all(fd, beginning(uuid), 0)
        with _map_file(old, os.fstat(old).st_size) as data:
            for record in upgrade.convert(data):
                size += _write_all(fd, record, size)
        if size == written:
            temporary.unlink()
            os.close(fd)
            return None
        os.fsync(fd)
        temporary.replace(path)
        _write_all(old, pack_record(ended_message(size, uuid), 0), os.fstat(old).st_size)  # followers move on by it
    except BaseException:
        os.close(fd)
        raise
    return fd


def _repair(fd: int, walker: Walker) -> tuple[int, str]:
    """Lead the walker over the file, cut off its bad tail and bridge bad stretches. Returns the good end and a note."""
    size = os.fstat(fd).st_size
    with _map_file(fd, size) as data:
        walked = walk_over(data, FIRST_RECORD, size, walker)
    notes = []
    for start, stop in walked.gaps:
        for offset, header in fillers(start, stop):
            _write_all(fd, header, offset)
        notes.append(f"{stop - start} bad bytes skipped at offset {start}")
    if walked.end < size:
        os.ftruncate(fd, walked.end)
        notes.append(f"an unfinished tail of {size - walked.end} bytes cut off at offset {walked.end}")
    return walked.end, "; ".join(notes)


def _map_file(fd: int, size: int) -> mmap.mmap:
    """The first `size` bytes (at least one), shared with the file, to be read only."""
    return mmap.mmap(fd, size, access=mmap.ACCESS_READ)


def _write_all(fd: int, data: bytes, offset: int) -> int:
    """pwrite until all is written; returns how much that was. OSError when the disk is full."""
    done = 0
    with memoryview(data) as view:
        while done < len(view):
            done += os.pwrite(fd, view[done:], offset + done)
    return done
