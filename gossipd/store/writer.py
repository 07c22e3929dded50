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
import os
from pathlib import Path
from typing import Self

from gossipd.store.file import (
    NEWEST_READ,
    StoreError,
    lock,
    open_current,
    repair,
    successor_of,
    write_all,
)
from gossipd.store.reading import ScannedRecord, StoreReading, Watcher, unwatched
from gossipd.store.records import (
    BEGINNING_SIZE,
    CHANNEL_AMOUNT,
    COMPLETED,
    DELETED,
    DYING,
    FIRST_RECORD,
    HEADER,
    HEADER_SIZE,
    NUMBER_MESSAGE,
    Walker,
    amount_message,
    check_records,
    crc_of,
    delete_channel_message,
    ended_message,
    pack_record,
    uuid_of,
)
from wire.gossip_layout import CHANNEL_ANNOUNCEMENT

__all__ = ["NEWEST_READ", "GossipStore", "ScannedRecord", "StoreError"]

AMOUNT_SIZE = HEADER_SIZE + NUMBER_MESSAGE.size


class GossipStore(StoreReading):
    """A gossip_store of version 16, open for writing. Offsets are those of record headers; OSError if the disk fails.

    `note` says what `open` had to repair, empty if nothing. `uuid` names this file (32 bytes).
    """

    def __init__(self, path: Path, fd: int, end: int, uuid: bytes, note: str) -> None:
        """Use `open`. `fd` is owned from here on; `end` is where the good records end."""
        super().__init__(path, fd, end)
        self.uuid = uuid
        self.note = note

    @classmethod
    def open(cls, path: Path | str, walker: Walker = check_records) -> Self:
        """Open or begin the store at `path`, repairing what has to be, and lock it for this process.

        `walker` takes every record on the way (an index that is filled, see map/loading.py). A file that cannot be
        read is moved aside to NAME.corrupt, and an empty one takes its place; StoreError if another process has it,
        OSError from the disk.
        """
        path = Path(path)
        fd, note = open_current(path)
        try:
            with contextlib.suppress(OSError):  # a compaction that was cut short has left it
                successor_of(path).unlink(missing_ok=True)
            end, damage = repair(path, fd, walker)
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
            os.close(fd)

    def unlock(self) -> None:
        """Let another process open the file; nothing may be buffered, nor written until `lock`."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def lock(self) -> None:
        """Have it alone again. Raises StoreError if it is another's, or has been written to."""
        lock(self._fd, self.path)
        if os.fstat(self._fd).st_size != self._end:
            raise StoreError(f"{self.path} was written to by another process.")

    def append(self, raw: bytes, timestamp: int) -> int:
        """Add a message (with its 2-byte type) to the batch; returns its offset. Visible to followers after `flush`.

        `timestamp`: that of the message in seconds; for a channel_announcement that of its first update, 0 before.
        """
        buffer = self._buffer
        offset = self._end + len(buffer)
        buffer += HEADER.pack(COMPLETED if buffer else 0, len(raw), crc_of(timestamp, raw), timestamp)
        buffer += raw
        return offset

    def append_deletion(self, scid: int) -> None:
        """Add a note that a channel is gone, for followers of the file."""
        before = self.size
        self.append(delete_channel_message(scid), 0)
        self.dead_bytes += self.size - before

    def append_channel(self, raw: bytes, timestamp: int, amount_sat: int) -> int:
        """Add a channel_announcement, and its capacity right behind it, which is not known if it is below 0."""
        offset = self.append(raw, timestamp)
        if amount_sat >= 0:
            self._buffer += pack_record(amount_message(amount_sat), 0)
        return offset

    def flush(self) -> None:
        """Write the batch and make it visible. If the disk is full: OSError, the file as before, the batch kept."""
        if self._buffer:
            self.mend()
            try:
                write_all(self._fd, bytes(self._buffer), self._end)
                write_all(self._fd, bytes([self._buffer[0] | COMPLETED >> 8]), self._end)
            except OSError:
                with contextlib.suppress(OSError):  # the first error counts; what stays is an unfinished tail
                    os.ftruncate(self._fd, self._end)
                raise
            self._end += len(self._buffer)
            self._buffer.clear()
        for offset in list(self._flag_changes):
            self._set_flag_in_file(offset, self._flag_changes[offset])
            del self._flag_changes[offset]

    def sync(self) -> None:
        """Flush and wait until the disk has it."""
        self.flush()
        os.fsync(self._fd)

    def mark_deleted(self, offset: int) -> None:
        """Set DELETED on a record, and on the amount that belongs to a channel_announcement.

        In the file it is done at once if nothing is buffered, else right after the batch (see the module's docstring).
        """
        length, kind = self._length_and_type(offset)
        following = offset + HEADER_SIZE + length
        if kind == CHANNEL_ANNOUNCEMENT and self._is_amount(following):
            self._delete(following, AMOUNT_SIZE)  # first: alone it would seem to belong to the channel before
        self._delete(offset, following - offset)

    def _delete(self, offset: int, size: int) -> None:
        """A crash may have left one of two flags: what was dead before is not counted twice."""
        if not self.flags(offset) & DELETED:
            self._set_flag(offset, DELETED)
            self.dead_bytes += size

    def set_dying(self, offset: int) -> None:
        """Set DYING on a channel's record: its output is spent, so it is not sent to peers any more."""
        self._set_flag(offset, DYING)

    def set_timestamp(self, offset: int, timestamp: int) -> None:
        """Give a record another timestamp, with its CRC: a channel_announcement gets that of its first update."""
        flags, length, _, _ = HEADER.unpack(self._bytes_at(offset, HEADER_SIZE))
        message = self._bytes_at(offset + HEADER_SIZE, length)
        header = HEADER.pack(flags, length, crc_of(timestamp, message), timestamp)
        if offset >= self._end:
            self._buffer[offset - self._end : offset - self._end + HEADER_SIZE] = header
        else:
            write_all(self._fd, header[4:], offset + 4)
            self._watcher(offset)

    def set_amount(self, offset: int, amount_sat: int) -> None:
        """Give the channel_announcement there another amount, if it has any."""
        at = offset + HEADER_SIZE + self._length_and_type(offset)[0]
        if not self._is_amount(at):
            return
        record = pack_record(amount_message(amount_sat), 0, self.flags(at))
        if at >= self._end:
            self._buffer[at - self._end : at - self._end + AMOUNT_SIZE] = record
        else:
            write_all(self._fd, record[2:], at + 2)
            self._watcher(at)

    @property
    def is_at_its_place(self) -> bool:
        """Whether the file at `path` is still the one that is written."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._fd))
        except OSError:
            return False

    def watch(self, watcher: Watcher | None) -> None:
        """From now on tell `watcher`, and no other, whenever the header of a record in the file is changed."""
        self._watcher = watcher or unwatched

    def move_to(self, fd: int, uuid: bytes, end: int) -> int:
        """Go on in the file that `begin_successor` made, which holds what is alive here; nothing may be buffered.

        It takes this one's name, and the `ended` record sends followers there. What can fail is done before that:
        OSError leaves all as it was. `fd` is owned from then on; returns the old one, whose closing takes time
        because a large file goes with it.
        """
        ended = pack_record(ended_message(end, uuid), 0, 0)
        try:
            write_all(self._fd, ended, self._end)
            successor_of(self.path).replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise
        with contextlib.suppress(OSError):  # it stands there already; only its flag is set
            write_all(self._fd, bytes([COMPLETED >> 8]), self._end)
        old, self._fd, self._end, self.uuid = self._fd, fd, end, uuid
        self._checked = FIRST_RECORD
        return old

    def _is_amount(self, offset: int) -> bool:
        return offset < self.size and self._length_and_type(offset)[1] == CHANNEL_AMOUNT

    def _set_flag(self, offset: int, flag: int) -> None:
        if offset >= self._end:
            self._buffer[offset - self._end] |= flag >> 8
        elif self._buffer:
            self._flag_changes[offset] = self._flag_changes.get(offset, 0) | flag
        else:
            self._set_flag_in_file(offset, flag)

    def _set_flag_in_file(self, offset: int, flag: int) -> None:
        write_all(self._fd, bytes([self._bytes_at(offset, 1)[0] | flag >> 8]), offset)
        self._watcher(offset)
