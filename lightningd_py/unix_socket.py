"""The node's Unix stream sockets: listening on a path, and connecting to one, of any length.

A socket address holds 107 bytes; a longer path is reached through an fd of its directory.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

from lightningd_py.errors import DirectoryError
from wire.command.console import reason
from wire.net.sockman.stale_socket import remove_stale_socket

BACKLOG = 100


def listen(path: Path, mode: int) -> socket.socket:
    """A listening Unix socket at this path, of any length. Raises DirectoryError.

    The file has its permissions from the first moment; a socket on which no process listens is replaced.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as address:
            remove_stale_socket(address)
            umask = os.umask(~mode & 0o777)
            try:
                listener.bind(address)
            finally:
                os.umask(umask)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise DirectoryError(f"cannot listen on {path}: {reason(error)}") from error
    return listener


def inode(path: Path) -> int:
    """Which file this is: to remove at the end only what was made at the beginning."""
    return path.stat().st_ino


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The same file by a path that fits a socket address, which holds 107 bytes."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
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


def pid_of(path: Path) -> int:
    """The process that listens there. Raises OSError."""
    with connect(path) as connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid
