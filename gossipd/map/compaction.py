"""Compaction: what is alive in the gossip_store goes to a new file, which takes its place while everything goes on.

    copy() ... copy()   slices, each a few milliseconds long, until nothing is left to copy
    sync()              waits for the disk; meanwhile more is appended, so copy() again
    finish()            the rest, then the new file has the old one's name and all offsets are those of the new file
    release()           lets the old file go, which takes the disk its time again

A Compactor does this when it is worth it, in slices on the daemon's loop and not in a process of its own, as CLN's,
because here the same process appends and deletes: which record went where, and what was deleted after it was copied, is
known without asking, and there is no third process to be watched. A crash leaves the old file whole, and a new one to
be removed.
"""

import asyncio
import contextlib
import errno
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable

from gossipd.map.around import Around
from gossipd.map.index import MapIndex
from gossipd.store.file import begin_successor, successor_of, write_all
from gossipd.store.records import (
    BEGINNING_SIZE,
    COMPLETED,
    DELETE_CHANNEL,
    DELETED,
    FIRST_RECORD,
    HEADER,
    HEADER_AND_TYPE,
    HEADER_SIZE,
    SMALLEST_RECORD,
    UUID,
)
from gossipd.store.writer import GossipStore
from wire.control.limits import Limits
from wire.control.status import Status

SLICE_RECORDS = 2_000
SLICE_BYTES = 1 << 19
"""A slice of copying ends at whichever comes first: 2 ms or so."""
PIECE = 4_096
"""Offsets that are translated at a time: 1 ms."""
PAUSE = 0.005
"""Seconds between two slices, for everything else: less than half of the loop's time is taken."""
RETRY = 3_600.0
"""Seconds after a failure (the disk is full) before it is tried again."""

_NOT_COPIED = {UUID, DELETE_CHANNEL}
"""The new file has its own uuid, and its readers have never seen what was deleted before."""

Ended = Callable[[str | None], None]
"""Gets None, or why the store could not be compacted."""

status = Status("gossipd")


class Moved:
    """Where in the new file things are."""

    def __init__(self, new_of: dict[int, int], end: int) -> None:
        """`new_of`: of each record that was alive, in the order of the file; and 0 of 0, as in the index."""
        self._new_of = new_of
        self._old = list(new_of)
        self._end = end

    def place(self, offset: int) -> int:
        """What `offset` of the old file is in the new one: as far as it had been read, and no further."""
        following = bisect_left(self._old, offset)
        return self._new_of[self._old[following]] if following < len(self._old) else self._end


class _Columns:
    """The index's columns, translated a piece at a time. Pieces that change afterwards are done again in the end."""

    def __init__(self, index: MapIndex, new_of: dict[int, int]) -> None:
        self._columns = index.offset_columns()
        self._new_of = new_of
        self._done: dict[tuple[int, int], tuple[array[int], array[int]]] = {}
        self._to_do = [(number, start) for number in range(len(self._columns)) for start in self._starts(number)]

    def _starts(self, number: int) -> range:
        return range(0, len(self._columns[number]), PIECE)

    def prepare(self) -> bool:
        """Translate a piece. False if there is none left."""
        if self._to_do:
            number, start = self._to_do.pop()
            piece = self._columns[number][start : start + PIECE]
            with contextlib.suppress(KeyError):  # it has a record that is not copied yet
                self._done[number, start] = piece, self._translate(piece)
        return bool(self._to_do)

    def _translate(self, piece: "array[int]") -> "array[int]":
        return array("Q", map(self._new_of.__getitem__, piece))

    def put(self) -> None:
        """Set all columns. Everything that is in use must have been copied."""
        for number, column in enumerate(self._columns):
            moved = array("Q")
            for start in self._starts(number):
                piece = column[start : start + PIECE]
                before, after = self._done.get((number, start), (None, piece))
                moved += after if before == piece else self._translate(piece)
            column[:] = moved


class Compaction:
    """One compaction of a store. Raises OSError where the disk does; then `abandon`, and nothing has happened."""

    def __init__(self, store: GossipStore, index: MapIndex) -> None:
        """Begins the new file."""
        self._store = store
        self._index = index
        self._fd, self._uuid = begin_successor(store.path)
        self._end = BEGINNING_SIZE
        self._copied = FIRST_RECORD
        self._new_of = {0: 0}
        self._columns: _Columns | None = None
        self._changed: set[int] = set()
        self._old_fd = -1
        store.watch(self._changed.add)

    def copy(self) -> bool:
        """Do a slice of what can be done beforehand. False if nothing is left at the moment."""
        if self._copied < self._store.end:
            self._copy_records()
            return True
        if self._columns is None:
            self._columns = _Columns(self._index, self._new_of)
        return self._columns.prepare()

    def _copy_records(self) -> None:
        data, begin, new_end = self._store.window(self._copied, SLICE_BYTES), self._copied, self._end
        unpack, new_of, size = HEADER_AND_TYPE.unpack_from, self._new_of, len(data)
        at, out = 0, bytearray()
        for _ in range(SLICE_RECORDS):
            if size - at < SMALLEST_RECORD:
                break
            flags, length, _, _, kind = unpack(data, at)
            following = at + HEADER_SIZE + length
            if following > size or not flags & COMPLETED:
                break
            if not flags & DELETED and kind not in _NOT_COPIED:
                new_of[begin + at] = new_end + len(out)
                out += data[at:following]
            at = following
        self._end += write_all(self._fd, bytes(out), new_end)
        self._copied = begin + at if at else self._store.scan(begin, 1)[1]  # which bridges what is damaged

    def sync(self) -> None:
        """Wait until the disk has what is copied. Takes its time, and may be called from another thread."""
        os.fsync(self._fd)

    def finish(self) -> Moved:
        """Put the new file in the old one's place and set the index's offsets. One step, so have little to copy."""
        store = self._store
        store.flush()
        while self.copy():
            pass
        if store.damaged:
            raise OSError(errno.EIO, "it was damaged meanwhile")  # the index has offsets of what is lost
        dead_bytes = self._copy_changed_headers()
        self._old_fd = store.move_to(self._fd, self._uuid, self._end)
        store.watch(None)
        store.dead_bytes = dead_bytes
        self._move_index()
        return Moved(self._new_of, self._end)

    def _move_index(self) -> None:
        index, new_of = self._index, self._new_of
        (self._columns or _Columns(index, new_of)).put()
        index.dying = {scid: (height, new_of[offset]) for scid, (height, offset) in index.dying.items()}

    def release(self) -> None:
        """Close the old file, after `finish`. May be called from another thread."""
        os.close(self._old_fd)

    def _copy_changed_headers(self) -> int:
        """What was deleted, or got another flag or timestamp, after it was copied. Returns the size of what is dead."""
        dead_bytes = 0
        for offset in self._changed & self._new_of.keys():
            header = self._store.window(offset, 0)[:HEADER_SIZE]
            write_all(self._fd, header, self._new_of[offset])
            flags, length, _, _ = HEADER.unpack(header)
            dead_bytes += HEADER_SIZE + length if flags & DELETED else 0
        return dead_bytes

    def abandon(self) -> None:
        """Leave everything as it is. Not after `finish` has succeeded."""
        self._store.watch(None)
        os.close(self._fd)
        successor_of(self._store.path).unlink(missing_ok=True)


class Compactor:
    """Compacts a store when it is worth it. Call `tick` from time to time."""

    def __init__(
        self,
        store: GossipStore,
        index: MapIndex,
        around: Around,
        limits: Limits,
    ) -> None:
        """Worth it from `limits.compact_size` bytes on, with `limits.compact_ratio` dead bytes for each live one."""
        self._store = store
        self._index = index
        self._around = around
        self.change_limits(limits)
        self.count = 0
        """Compactions since the start."""
        self._not_before = 0.0
        self._failure: str | None = None
        self._waiting: list[Ended] = []
        self._task: asyncio.Task[None] | None = None

    def change_limits(self, limits: Limits) -> None:
        """From when on it is worth it."""
        self._min_size, self._dead_to_live = limits.compact_size, limits.compact_ratio

    @property
    def running(self) -> bool:
        """Whether a compaction is under way."""
        return self._task is not None

    @property
    def is_worth_it(self) -> bool:
        """Whether the store is large and mostly dead."""
        size, dead = self._store.size, self._store.dead_bytes
        return size >= self._min_size and dead >= self._dead_to_live * (size - dead)

    def tick(self) -> None:
        """Begin if it is time, or if the file was removed or replaced from outside."""
        if self.running or asyncio.get_running_loop().time() < self._not_before:
            return
        if not self._store.is_at_its_place:
            status.unusual(f"{self._store.path} was removed or replaced: it is written again")
            self.start()
        elif self.is_worth_it:
            self.start()

    def start(self) -> None:
        """Begin now, unless it is under way."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(self._ended)

    def compact_now(self, ended: Ended) -> None:
        """Begin now, worth it or not, unless it is under way; `ended` is called at its end."""
        self._waiting.append(ended)
        self.start()

    def close(self) -> None:
        """Break it off; the store is as it was, or compacted."""
        if self._task is not None:
            self._task.cancel()

    async def wait(self) -> None:
        """Until the compaction under way has ended, if there is one."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Our own bugs go to the loop's handler, which ends the daemon."""
        self._task = None
        if task.cancelled():
            return
        task.result()
        waiting, self._waiting = self._waiting, []
        for ended in waiting:
            ended(self._failure)

    async def _run(self) -> None:
        before, self._failure = self._store.size, None
        try:
            await self._compact()
        except OSError as error:
            if not self._store.damaged:
                self._not_before = asyncio.get_running_loop().time() + RETRY
            self._failure = f"{self._store.path} cannot be compacted: {error}"
            status.unusual(self._failure)
            return
        self.count += 1
        status.info(f"{self._store.path} is compacted: {before} -> {self._store.size} bytes")
        with contextlib.suppress(OSError):  # some file systems cannot
            await asyncio.to_thread(_sync_directory, str(self._store.path.parent))

    async def _compact(self) -> None:
        compaction = Compaction(self._store, self._index)
        try:
            # The second time only what came during the first; then what is not safe on the disk is seconds old.
            for _ in range(2):
                behind = True
                while behind:
                    behind = compaction.copy()
                    await asyncio.sleep(PAUSE)
                await asyncio.to_thread(compaction.sync)
            moved = compaction.finish()
        except BaseException:
            compaction.abandon()
            raise
        self._around.records_moved(moved.place)
        await asyncio.to_thread(compaction.release)


def _sync_directory(path: str) -> None:
    """The new name stays through a power cut as well."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
