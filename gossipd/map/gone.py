"""Channels that are gone: what was spent does not come back, and what was stale comes back only with a fresh update.

They are remembered in memory, the newest MAX_REMEMBERED of each kind, and in a file beside the gossip_store, so that a
restart does not forget them; nothing in CLN's format of the store would tell a spent channel from a stale one, and
compaction drops what it has. Each change is appended to the file before the store hears that the channel goes; the
file is rewritten, from memory, at the start and when it has grown. A record whose end a crash has cut off is passed
over. When the gossip_store was removed, this file goes too.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from struct import Struct

import google_crc32c

from gossipd.store.file import replace_file, write_all
from wire.control.shares import Newest
from wire.control.status import Status

ENDING = ".gone"
MAX_REMEMBERED = 20_000
"""Channels of each kind of which is known that they were here: spent ones of more than a month, 2 MB."""
MAX_NOTES = 100_000
"""Records in the file above which it is rewritten: 1.3 MB."""

_CLOSED, _PRUNED = 1, 2
_NOT_ANY_MORE = 0x80
_NOTE = Struct(">BQ")
_CRC = Struct(">I")
_SIZE = _NOTE.size + _CRC.size

status = Status("gossipd")


class Remembered:
    """A set of channels that forgets the oldest when it is full. `changed`: this one was added; or discarded, None is
    for all.
    """

    def __init__(self, limit: int = MAX_REMEMBERED, changed: Callable[[int | None, bool], None] | None = None) -> None:
        self._changed = changed
        self._newest: Newest[int, None] = Newest(limit)
        self.scids = self._newest.values.keys()
        """All of them, the oldest first."""

    def __contains__(self, scid: object) -> bool:
        return scid in self.scids

    def __len__(self) -> int:
        return len(self.scids)

    def __iter__(self) -> Iterator[int]:
        """The oldest first."""
        return iter(self.scids)

    def add(self, scid: int) -> None:
        """The newest one, also if it was known before."""
        is_new = scid not in self.scids
        self._newest.put(scid, None)
        if is_new and self._changed is not None:
            self._changed(scid, True)

    def clear(self) -> None:
        """Forget them all."""
        self._newest.clear()
        if self._changed is not None:
            self._changed(None, False)

    def discard(self, scid: int) -> None:
        """As if it had never been added."""
        if scid in self.scids:
            self._newest.pop(scid)
            if self._changed is not None:
                self._changed(scid, False)


class Gone:
    """Both kinds. Without a path they are in memory only. A disk that fails is complained of once, and tried again."""

    def __init__(self, path: Path | None = None, limit: int = MAX_REMEMBERED) -> None:
        self.closed = Remembered(limit, partial(self._note, _CLOSED))
        """Forgotten because they were spent: their announcements are not to be taken again."""
        self.pruned = Remembered(limit, partial(self._note, _PRUNED))
        """Forgotten because they were stale: not to be written again without an update."""
        self._path: Path | None = None
        self._notes = 0
        self._fits = True
        """The file says what is in memory."""
        self._complained = False
        if path is not None:
            self._load(path)
            self._path = path
            self._rewrite()

    def _load(self, path: Path) -> None:
        kinds = {_CLOSED: self.closed, _PRUNED: self.pruned}
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            self._complain(error, path)
            return
        for kind, scid in _notes(content):
            if (remembered := kinds.get(kind & ~_NOT_ANY_MORE)) is None:
                continue
            if kind & _NOT_ANY_MORE:
                remembered.discard(scid)
            else:
                remembered.add(scid)

    def _note(self, kind: int, scid: int | None, added: bool) -> None:
        if self._path is None:
            return
        if scid is None or not self._fits or self._notes >= MAX_NOTES:
            self._rewrite()
            return
        try:
            _append(self._path, _pack(kind if added else kind | _NOT_ANY_MORE, scid))
            self._notes += 1
        except OSError as error:
            self._complain(error, self._path)

    def _rewrite(self) -> None:
        assert self._path is not None
        kinds: Iterable[tuple[int, Remembered]] = ((_CLOSED, self.closed), (_PRUNED, self.pruned))
        notes = [_pack(kind, scid) for kind, remembered in kinds for scid in remembered]
        try:
            replace_file(self._path, b"".join(notes))
        except OSError as error:
            self._complain(error, self._path)
            return
        self._notes, self._fits, self._complained = len(notes), True, False

    def _complain(self, error: OSError, path: Path) -> None:
        self._fits = False
        if not self._complained:
            self._complained = True
            status.unusual(f"{path}: {error.strerror}: after a restart, channels that are gone may come back")


def _pack(kind: int, scid: int) -> bytes:
    note = _NOTE.pack(kind, scid)
    return note + _CRC.pack(google_crc32c.value(note))


def _notes(content: bytes) -> Iterator[tuple[int, int]]:
    """(kind, scid) of each whole record; the first one that is damaged is the last that is looked at."""
    for start in range(0, len(content) - _SIZE + 1, _SIZE):
        note = content[start : start + _NOTE.size]
        if _CRC.unpack_from(content, start + _NOTE.size)[0] != google_crc32c.value(note):
            return
        yield _NOTE.unpack(note)


def _append(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        write_all(fd, data, os.fstat(fd).st_size)
    finally:
        os.close(fd)
