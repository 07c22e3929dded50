"""Files that are there after a power cut, or not at all."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """What was created, renamed or removed in it is on the disk. Raises OSError."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Its content is on the disk. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, content: bytes) -> None:
    """The whole content or, if anything fails, what was there before. Raises OSError."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    sync_file(part)
    part.rename(path)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """With its parents; those that are new are on the disk. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        sync_folder(each.parent)
