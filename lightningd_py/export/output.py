"""Files that a command writes: what is there stays, unless the user says so; what fails leaves nothing behind."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from wire.command.console import OutputError, reason

STANDARD_OUTPUT = Path("-")


@contextlib.contextmanager
def new_path(path: Path, *, force: bool) -> Iterator[Path]:
    """A path beside it to write a file or a folder to, which takes its place at the end, when it is on the disk.

    Raises OutputError if something is there already: with `force` only if that is no file and no folder.
    """
    _check(path, force=force)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        _settle(part)
        if path.is_dir() and not path.is_symlink() and part.is_dir():
            shutil.rmtree(path)
        part.rename(path)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def _check(path: Path, *, force: bool) -> None:
    there = os.path.lexists(path)
    if there and not force:
        raise OutputError(f"{path} is there already, and is left as it is: --force overwrites it")
    if there and path.exists() and not (path.is_file() or path.is_dir()):
        raise OutputError(f"{path} is no file that could be overwritten")


def _settle(part: Path) -> None:
    """Some file systems tell only here that there is no room."""
    if part.is_file():
        with part.open("rb") as file:
            os.fsync(file.fileno())


@contextlib.contextmanager
def new_text(path: Path, *, force: bool) -> Iterator[TextIO]:
    """The same for text in UTF-8, with line ends as they are written; `-` is standard output."""
    if path == STANDARD_OUTPUT:
        yield sys.stdout
        return
    with new_path(path, force=force) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield file


@contextlib.contextmanager
def new_bytes(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """The same for bytes."""
    if path == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    with new_path(path, force=force) as part, part.open("wb") as file:
        yield file
