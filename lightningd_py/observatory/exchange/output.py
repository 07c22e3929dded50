"""Files that a command writes: what is there stays, unless the user says so; what fails leaves nothing behind."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, TextIO

from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.command.console import reason

STANDARD_OUTPUT = Path("-")


@contextlib.contextmanager
def new_path(path: Path, *, force: bool) -> Iterator[Path]:
    """A path beside it to write a file or a folder to, which takes its place at the end.

    Raises ObservatoryError if there is one already.
    """
    if path.exists() and not force:
        raise ObservatoryError(f"{path} is there already, and is left as it is: --force overwrites it")
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        if path.is_dir() and not path.is_symlink() and part.is_dir():
            shutil.rmtree(path)
        part.rename(path)
    except OSError as error:
        raise ObservatoryError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def new_text(path: Path, *, force: bool) -> Iterator[TextIO]:
    """The same for text in UTF-8; `-` is standard output."""
    if path == STANDARD_OUTPUT:
        yield sys.stdout
        return
    with new_path(path, force=force) as part, part.open("w", encoding="utf-8") as file:
        yield file


@contextlib.contextmanager
def new_bytes(path: Path, *, force: bool) -> Iterator[BinaryIO]:
    """The same for bytes."""
    if path == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        return
    with new_path(path, force=force) as part, part.open("wb") as file:
        yield file
