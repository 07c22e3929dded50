"""The file of a gossip_store: locked, opened whatever state it is in, begun, replaced by another one.

What it does with a file that others, or accidents, have left: an older version is rewritten, a bad tail is cut off, a
bad middle is bridged, and what cannot be read at all is moved aside.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from gossipd.store import upgrade
from gossipd.store.records import (
    BEGINNING_SIZE,
    FIRST_RECORD,
    OLDEST_VERSION,
    VERSION,
    Walker,
    beginning,
    ended_message,
    fillers,
    pack_record,
    uuid_of,
    walk_over,
)
from gossipd.store.windows import windows

NEWEST_READ = 31
"""Minor versions after 16 only add to the format, by CLN's promise; major ones (the upper 3 bits) do not."""

TEMPORARY = ".tmp"
"""Ending of the name of a file in the making that is to replace the store."""


class StoreError(Exception):
    """The store cannot be opened; one sentence for the user."""


def open_locked(path: Path) -> int:
    """A descriptor of the file that is at `path`, with its lock held."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            lock(fd, path)
            if os.path.samestat(os.fstat(fd), path.stat()):
                return fd
            os.close(fd)  # replaced between open and lock
        except FileNotFoundError:
            os.close(fd)
        except StoreError:
            os.close(fd)
            raise


def lock(fd: int, path: Path) -> None:
    """Have the file for this process alone. Raises StoreError."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(f"{path} is in use by another process.") from None


def open_current(path: Path) -> tuple[int, str]:
    """A locked descriptor of a file of version 16 with a uuid at `path`, and what had to be done for it."""
    fd = open_locked(path)
    try:
        data = os.pread(fd, BEGINNING_SIZE, 0)
        if data[:1] == bytes([VERSION]) and uuid_of(data):
            return fd, ""
        if data[:1] in (b"", bytes([VERSION])) and len(data) < BEGINNING_SIZE:
            os.ftruncate(fd, 0)
            write_all(fd, beginning(os.urandom(32)), 0)
            return fd, ""
        replacement = _rewrite(path, fd) if OLDEST_VERSION <= data[0] <= NEWEST_READ else None
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    if replacement is not None:
        return replacement, f"rewritten from version {data[0]} as version {VERSION}"
    aside = _corrupt(path)
    path.replace(aside)
    fd, _ = open_current(path)
    moved = f"moved to {aside.name}, and an empty one begun"
    return fd, f"no gossip_store that can be read (version byte {data[0]}): {moved}"


def successor_of(path: Path) -> Path:
    """The name of a file that is to replace the store at `path`."""
    return path.with_name(path.name + TEMPORARY)


def begin_successor(path: Path) -> tuple[int, bytes]:
    """A new, locked file beside the store at `path`, with nothing in it: its descriptor and its uuid."""
    temporary = successor_of(path)
    temporary.unlink(missing_ok=True)
    fd = open_locked(temporary)
    uuid = os.urandom(32)
    try:
        write_all(fd, beginning(uuid), 0)
    except BaseException:
        os.close(fd)
        temporary.unlink()
        raise
    return fd, uuid


def _rewrite(path: Path, old: int) -> int | None:
    """Put what is good in the old file into a new one at `path`; its descriptor, locked, or None if nothing is good."""
    temporary = successor_of(path)
    fd, uuid = begin_successor(path)
    try:
        size = written = BEGINNING_SIZE
        for record in upgrade.convert(read_all(old)):
            size += write_all(fd, record, size)
        if size == written:
            temporary.unlink()
            os.close(fd)
            return None
        os.fsync(fd)
        temporary.replace(path)
        write_all(old, pack_record(ended_message(size, uuid), 0), os.fstat(old).st_size)  # followers move on by it
    except BaseException:
        os.close(fd)
        raise
    return fd


def _corrupt(path: Path) -> Path:
    """The name under which what cannot be read is kept."""
    return path.with_name(path.name + ".corrupt")


def repair(path: Path, fd: int, walker: Walker) -> tuple[int, str]:
    """Lead the walker over the file, cut off its bad tail and bridge bad stretches. Returns the good end and a note.

    The tail is kept in NAME.corrupt, if there is room for it.
    """
    data = read_all(fd)
    size = len(data)
    walked = walk_over(data, FIRST_RECORD, size, walker)
    if walked.end < size:
        with contextlib.suppress(OSError):
            replace_file(_corrupt(path), data[walked.end :])
    notes = []
    for start, stop in walked.gaps:
        for offset, header in fillers(start, stop):
            write_all(fd, header, offset)
        notes.append(f"{stop - start} bad bytes skipped at offset {start}")
    if walked.end < size:
        os.ftruncate(fd, walked.end)
        notes.append(
            f"an unfinished tail of {size - walked.end} bytes cut off at offset {walked.end}, see {_corrupt(path).name}"
        )
    return walked.end, "; ".join(notes)


def read_all(fd: int) -> bytes:
    """All that is in the file."""
    size = os.fstat(fd).st_size
    content = os.pread(fd, size, 0)  # in one go, if it is not larger than the kernel reads at once, or cut meanwhile
    return content if len(content) == size else b"".join(windows(fd, os.fstat(fd).st_size))


def replace_file(path: Path, content: bytes) -> None:
    """Put a file with this content at `path`, which only we may read, whatever the umask. OSError from the disk."""
    temporary = successor_of(path)
    temporary.unlink(missing_ok=True)
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        write_all(fd, content, 0)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes, offset: int) -> int:
    """pwrite until all is written; returns how much that was. OSError when the disk is full."""
    done = 0
    with memoryview(data) as view:
        while done < len(view):
            done += os.pwrite(fd, view[done:], offset + done)
    return done
