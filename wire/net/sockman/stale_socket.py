"""The file that the Unix socket of a process leaves behind when it is killed: where one is to listen again, it goes."""

import errno
import socket
import stat
from pathlib import Path


def remove_stale_socket(path: str | Path) -> None:
    """Remove the socket at this path on which no process listens, if there is one. Does not block.

    Raises OSError, whose strerror says what is in the way, for everything else that is there: another process that
    listens (its backlog may be full), a file, a symbolic link. A path of more than 107 bytes is refused, too.
    """
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EADDRINUSE, "something else is there that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        error = probe.connect_ex(str(path))
    if error == errno.ECONNREFUSED:
        Path(path).unlink(missing_ok=True)
    elif error != errno.ENOENT:  # it has gone meanwhile
        raise OSError(errno.EADDRINUSE, "another process listens there")
