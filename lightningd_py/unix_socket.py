"""The node's Unix stream sockets: listening on a path, and connecting to one, of any length.

A socket address holds 107 bytes; a longer path is reached through an fd of its directory.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from lightningd_py.errors import DirectoryError

BACKLOG = 100


def listen(path: Path, mode: int) -> socket.socket:
    """A listening Unix socket at this path, of any length. Raises DirectoryError.

    The file has its permissions from the first moment; a socket file on which no process answers is replaced.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            _remove_stale(path, address)
            umask = os.umask(~mode & 0o777)
            try:
                listener.bind(address)
            finally:
                os.umask(umask)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise DirectoryError(f"cannot listen on {path}: {error.strerror}") from error
    except DirectoryError:
        listener.close()
        raise
    return listener


def inode(path: Path) -> int:
    """Which file this is: to remove at the end only what was made at the beginning."""
    return path.stat().st_ino


def remove_stale(path: Path) -> None:
    """Remove a socket file on which no process answers, if there is one. Raises OSError, DirectoryError for others."""
    with _short(path) as address:
        _remove_stale(path, address)


def _remove_stale(path: Path, address: str) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise DirectoryError(f"{path} is in the way: it is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise DirectoryError(f"another process listens on {path}")


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The same file by a path that fits a socket address, which holds 107 bytes."""
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def connect(path: Path) -> socket.socket:
    """A blocking connection to the process that listens there. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
