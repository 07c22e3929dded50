"""What a process may do: what a daemon gives up before it meets a stranger's bytes, and how many files it may open.

Given up are new privileges, core dumps, memory without end. Which files it may open is `wire.control.landlock`'s.
seccomp is not among it: systemd has it.
"""

import ctypes
import resource

from wire.control.status import Status

_PR_SET_DUMPABLE, _PR_SET_NAME, _PR_SET_NO_NEW_PRIVS = 4, 15, 38

MOST_MEMORY = 4 << 30
"""Bytes of private memory: several times what the greatest map and ten thousand peers take. Beyond it is a fault."""


def give_up_privileges(status: Status) -> None:
    """No new privileges by exec, no core dumps, no debugger of the same user, and a bound on memory."""
    prctl = ctypes.CDLL(None).prctl
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        status.unusual("this process can be dumped: prctl failed")
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        status.unusual("this process may gain privileges: prctl failed")
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_DATA, MOST_MEMORY)


def name_process(name: str) -> None:
    """What `ps` calls this process, 15 letters. Not through /proc/self, which is root's after `give_up_privileges`."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def _limit(which: int, most: int) -> None:
    """Lower a limit, never raise it."""
    _, hard = resource.getrlimit(which)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (most, most))


def raise_fd_limit() -> int:
    """Raise the soft limit to the hard one. Returns how many fds may be open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30
