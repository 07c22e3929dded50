"""The listening socket of a bus endpoint, made by ourselves: ZMQ accepts at it, and another process may go on with it.

ZMQ's own would end with its socket, and remove what is in its way. docs/bus.md, "When connectiond is restarted".
"""

import os
import socket
from pathlib import Path

import zmq

from wire.control.binding import BindFailed
from wire.net.sockman.stale_socket import remove_stale_socket

BACKLOG = 128
"""Connections that wait to be accepted, also while one process takes the place of another."""


class Listener:
    """A socket that listens at `endpoint`, `ipc://PATH` or `tcp://IP:PORT`."""

    def __init__(self, endpoint: str, sock: socket.socket) -> None:
        """The socket is non-blocking from here on."""
        self.endpoint = endpoint
        self.sock = sock
        sock.setblocking(False)
        self._path = Path(endpoint.removeprefix("ipc://")) if endpoint.startswith("ipc:") else None
        self._inode = self._inode_now()

    def _inode_now(self) -> int | None:
        try:
            return None if self._path is None else self._path.stat().st_ino
        except OSError:
            return None

    def close(self) -> None:
        """Stop to listen here; the file of an ipc endpoint stays."""
        self.sock.close()

    def end(self) -> None:
        """The endpoint is given up: its file goes, if it is not another one's by now."""
        self.close()
        if self._path is not None and self._inode is not None and self._inode_now() == self._inode:
            self._path.unlink(missing_ok=True)


def open_listener(endpoint: str) -> Listener:
    """Listen there. The file of an ipc endpoint is the owner's alone from its first moment on; one without a listener
    is replaced. Raises BindFailed.
    """
    scheme, _, where = endpoint.partition("://")
    try:
        sock = _at_path(Path(where)) if scheme == "ipc" else _at_port(where)
    except OSError as error:
        raise BindFailed(f"cannot bind {endpoint}: {error.strerror or error}") from error
    return Listener(endpoint, sock)


def _at_path(path: Path) -> socket.socket:
    length = len(os.fsencode(path))
    if length > zmq.IPC_PATH_MAX_LEN:
        raise BindFailed(f"cannot bind ipc://{path}: its path has {length} bytes, {zmq.IPC_PATH_MAX_LEN} may be")
    remove_stale_socket(path)
    sock = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    try:
        sock.bind(os.fspath(path))
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(umask)
    return sock


def _at_port(where: str) -> socket.socket:
    """Raises OSError; ValueError is one, for an address that is none."""
    host, _, port = where.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), int(port)), family=family, backlog=BACKLOG)
    except (ValueError, OverflowError) as error:
        raise OSError(str(error)) from error
