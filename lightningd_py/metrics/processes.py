"""What the kernel says of a process, by its pid: processor time, memory, fds, start; and of all that it has started."""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from wire.start.late_dataclass import dataclass

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _CUTIME, _CSTIME, _START, _RSS = 11, 12, 13, 14, 19, 21
"""Where fields of /proc/PID/stat stand behind the name, which may have spaces and brackets in it. proc(5)."""


@dataclass(frozen=True, slots=True)
class Usage:
    """`started`: unix seconds. `fds` is None where the kernel does not say."""

    cpu_seconds: float
    resident_bytes: int
    fds: int | None
    started: float


def usage(pid: int, *, with_children: bool = False) -> Usage | None:
    """None if there is no such process. `with_children`: their time counts, once they have ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    fields = [_UTIME, _STIME, *((_CUTIME, _CSTIME) if with_children else ())]
    ticks = sum(int(stat[field]) for field in fields)
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(stat[_START]) / _TICKS
    return Usage(ticks / _TICKS, int(stat[_RSS]) * _PAGE, _fds(pid), started)


def _fds(pid: int) -> int | None:
    """Linux 6.2 tells it to everybody; before, only root sees the fds of a daemon, which cannot be dumped."""
    folder = Path(f"/proc/{pid}/fd")
    try:
        return folder.stat().st_size or len(list(folder.iterdir()))
    except OSError:
        return None


def together(pids: Iterable[int]) -> Usage | None:
    """Of several processes; None if there are none."""
    found = [each for pid in pids if (each := usage(pid, with_children=True)) is not None]
    if not found:
        return None
    fds = [each.fds for each in found if each.fds is not None]
    return Usage(
        sum(each.cpu_seconds for each in found),
        sum(each.resident_bytes for each in found),
        sum(fds) if fds else None,
        min(each.started for each in found),
    )


def descendants(pid: int) -> Iterator[int]:
    """The children of a process, theirs, and so on."""
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield child
        yield from descendants(child)
