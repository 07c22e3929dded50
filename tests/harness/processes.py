"""What Linux tells about processes, through /proc: children, sessions, sockets. For tests that look from outside.

Our daemons cannot be dumped, so their fds are root's alone to see: for anybody else they have none, and tests that are
about fds call `look_into` first.
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROC = Path("/proc")
_SOCKET = re.compile(r"socket:\[(\d+)\]")


def children(pid: int) -> list[int]:
    """The processes that this one has started and not reaped."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on."""
    found = children(pid)
    for child in found:  # grows while it is read
        found += children(child)
    return found


def command_line(pid: int) -> list[str]:
    """Its words; empty if it is gone."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes().decode().split("\0")[:-1]
    return []


def environment(pid: int) -> bytes:
    """What it was started with. Raises OSError if it is not ours to see."""
    return (PROC / str(pid) / "environ").read_bytes()


def started(pid: int) -> float:
    """When it was, on the clock of `time.monotonic`, to a hundredth of a second."""
    ticks = int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK")


def status(pid: int) -> str:
    """What the kernel tells about it: lines of `Name:\tvalue`."""
    return (PROC / str(pid) / "status").read_text()


def session(leader: int) -> list[int]:
    """All living processes of a session, zombies not counted."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit() and _is_in(int(entry.name), leader)]


def _is_in(pid: int, leader: int) -> bool:
    try:
        state, _, _, its_session = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[:4]
    except (OSError, ValueError):
        return False
    return int(its_session) == leader and state not in "ZX"


def look_into(pid: int) -> None:
    """Skips the test if this process' fds cannot be seen."""
    if not os.access(PROC / str(pid) / "fd", os.R_OK):
        pytest.skip("the fds of a process that cannot be dumped are root's to see")


def sockets(pid: int) -> list[int]:
    """The inodes of its sockets, one for each fd, in order. Empty if it is gone."""
    return sorted(int(match[1]) for link in links(pid) if (match := _SOCKET.fullmatch(link)))


def resident(pid: int) -> int:
    """Bytes of its memory that are there, shared ones, too; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return int((PROC / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def fd_count(pid: int) -> int:
    """How many fds it has open."""
    return len(list(links(pid)))


def links(pid: int) -> Iterator[str]:
    """What each of its fds is: a path, or `socket:[inode]`."""
    with contextlib.suppress(OSError):
        for entry in (PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(entry.readlink())


def inode(fd: int) -> int:
    """Of one of our own sockets."""
    return os.fstat(fd).st_ino
