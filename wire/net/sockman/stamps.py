"""When what is read from a socket has arrived: by the kernel's clock where it says so, else by ours at the read.

The kernel stamps segments of TCP and packets of AF_UNIX (SO_TIMESTAMPNS, unix time). Of TCP the stamp is that of the
last segment that a read has taken, so what was read together has one stamp. Unix streams have none. An AF_UNIX packet
may bring fds, of any program: they are closed.
"""

import array
import contextlib
import os
import socket
import time
from struct import Struct

SO_TIMESTAMPNS = 35
"""On all of Linux's usual machines; `socket` has no name for it. Also the type of the ancillary message."""
_TIMESPEC = Struct("@ll")
_ROOM = socket.CMSG_SPACE(_TIMESPEC.size)


def stamp(sock: socket.socket, *, wanted: bool) -> None:
    """Have the kernel keep when each piece has arrived, or not any more. Where it cannot, `receive` does without."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, int(wanted))


def receive(sock: socket.socket, size: int) -> tuple[bytes, int]:
    """As `recv`, with the time of arrival in unix nanoseconds. Raises what recv raises."""
    if sock.family == socket.AF_UNIX and sock.type == socket.SOCK_STREAM:
        return sock.recv(size), time.time_ns()
    data, words, _, _ = sock.recvmsg(size, _ROOM)
    arrived = 0
    for level, kind, said in words:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, rest_ns = _TIMESPEC.unpack(said)
            arrived = seconds * 10**9 + rest_ns
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            _close(said)
    return data, arrived or time.time_ns()


def _close(said: bytes) -> None:
    """fds that nothing was to do with."""
    fds = array.array("i")
    fds.frombytes(said[: len(said) - len(said) % fds.itemsize])
    for fd in fds:
        os.close(fd)
