"""The sockets at which strangers arrive: the master keeps them, and each connectd in turn has copies.

So one that dies or is replaced closes nothing: who connects meanwhile waits in the socket. connectd binds what the
options ask for, and gives copies to the master; what systemd has bound (socket activation) the master has from the
beginning.
"""

import os
import socket
from collections.abc import Iterable, MutableMapping

from wire.control.control_message import Fd
from wire.control.control_wire import ListeningSocket
from wire.control.status import Status

FIRST_FD = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""

status = Status("lightningd")


class ListeningSockets:
    """All of the node, in the order in which they were bound."""

    def __init__(self, there: Iterable[ListeningSocket] = ()) -> None:
        """`there`: those that are there before any connectd is. They are ours from here on."""
        self._sockets = list(there)

    def __len__(self) -> int:
        return len(self._sockets)

    def keep(self, bound: Iterable[ListeningSocket]) -> None:
        """connectd has bound these. They are ours from here on."""
        self._sockets += bound

    def copies(self, *, announce: bool = False) -> list[ListeningSocket]:
        """For another connectd; `announce` those that are public. Raises OSError."""
        copies: list[ListeningSocket] = []
        try:
            for each in self._sockets:
                copies.append(ListeningSocket(each.kind, Fd(os.dup(each.fd)), announce))
        except OSError:
            for copy in copies:
                os.close(copy.fd)
            raise
        return copies

    def leave(self) -> list[ListeningSocket]:
        """For the next program of this process; they are the caller's."""
        sockets, self._sockets = self._sockets, []
        return sockets

    def close(self) -> None:
        """The node has ended."""
        for each in self._sockets:
            os.close(each.fd)
        self._sockets.clear()


def inherited(environment: MutableMapping[str, str], pid: int) -> list[ListeningSocket]:
    """The stream sockets that systemd has bound for us; one that is named ws is for WebSockets. What told us of them is
    taken out of the environment, for it is not meant for our children. See sd_listen_fds(3).
    """
    meant_for = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if meant_for != str(pid) or not count.isdecimal():
        return []
    found = []
    for number in range(int(count)):
        fd = FIRST_FD + number
        name = names[number] if number < len(names) else ""
        if _listens(fd):
            os.set_inheritable(fd, False)
            found.append(ListeningSocket("ws" if name == "ws" else "plain", Fd(fd)))
        else:
            status.unusual(f"fd {fd}, which was left to us as a listening socket, is none: it is not looked at")
    return found


def _listens(fd: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(fd)) as sock:
            return sock.type == socket.SOCK_STREAM and bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False
