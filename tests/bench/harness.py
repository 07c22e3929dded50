"""What the benchmarks share: rows and their table, CPU time of processes, children that are the other side."""

import contextlib
import multiprocessing
import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.maps import BenchMap

ROOT = Path(__file__).parent.parent.parent
_COLUMNS = (38, 24, 44, 7)
_FORK = multiprocessing.get_context("fork")


class Row(NamedTuple):
    """One line of the table. `reference` is in the same unit, of the same run; None if there is none."""

    name: str
    figure: float
    unit: str
    reference: float | None = None
    reference_name: str = ""
    target: str = ""


@dataclass(frozen=True)
class Bench:
    """What a benchmark gets: how large it is to be, and a directory that is empty and goes away."""

    quick: bool
    topology: Path | None
    directory: Path

    @cached_property
    def map(self) -> BenchMap:
        """The map of this run; made, or found in the cache, when it is first asked for."""
        return BenchMap.make(self.quick, self.topology)


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def print_line(*cells: str) -> None:
    """One line of a Markdown table; the last column has no width."""
    padded = [cell.ljust(width) for cell, width in zip(cells, _COLUMNS, strict=False)]
    print("| " + " | ".join([*padded, *cells[len(_COLUMNS) :]]) + " |", flush=True)


def print_heading() -> None:
    """The table's first two lines."""
    print_line("benchmark", "figure", "reference of the same run", "ratio", "target")
    print_line(*("-" * width for width in _COLUMNS), "---")


def print_row(row: Row) -> None:
    """One measurement."""
    reference = ratio = ""
    if row.reference is not None:
        reference, ratio = f"{number(row.reference)}, {row.reference_name}", f"{row.figure / row.reference:.2f}"
    print_line(row.name, f"{number(row.figure)} {row.unit}", reference, ratio, row.target)


def processor() -> str:
    """What the kernel calls it, or its architecture."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


# CPU time


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all threads, user and system, to the nanosecond: the kernel's clock of that pid."""
    return time.clock_gettime(~pid << 3 | 2)


def cpu_of(pids: Iterable[int]) -> float:
    """The sum over some processes."""
    return sum(map(cpu_seconds, pids))


def resident(pid: int) -> int:
    """Bytes of memory that a process has to itself or shares, as in `ps`."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def children(pid: int) -> list[int]:
    """A process's own children."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def family(pid: int) -> list[int]:
    """A process and all that descends from it."""
    return [pid, *(descendant for child in children(pid) for descendant in family(child))]


def module_of(pid: int) -> str:
    """What `python -m` was told to run."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return words[words.index(b"-m") + 1].decode() if b"-m" in words else words[0].decode()


# The other side of a benchmark is never in the process that is measured, nor in the loop that measures.


def _answer(connection: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    connection.send(function(*arguments))
    os._exit(0)


class Child:
    """A function that runs in a forked process; sockets that are open now can be used there."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._connection, theirs = _FORK.Pipe()
        self.process = _FORK.Process(target=_answer, args=(theirs, function, arguments))
        self.process.start()
        theirs.close()

    def result(self) -> Any:
        """Wait for what it returns."""
        answer = self._connection.recv()
        self.process.join()
        self._connection.close()
        return answer


def in_two_processes(function: Callable[..., Any], *arguments: Any) -> list[Any]:
    """The same at the same time in two processes; both results."""
    both = [Child(function, *arguments) for _ in range(2)]
    return [child.result() for child in both]


def swallow(sock: socket.socket, size: int) -> float:
    """Read so many bytes; the monotonic time when the last one has come. Raises ConnectionError."""
    sock.setblocking(True)
    buffer = bytearray(1 << 18)
    while size > 0:
        got = sock.recv_into(buffer, min(size, len(buffer)))
        if not got:
            raise ConnectionError("the other side has hung up")
        size -= got
    return time.monotonic()


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """Say on standard error that something takes a while."""
    print(f"{what} ... ", end="", file=sys.stderr, flush=True)
    began = time.monotonic()
    yield
    print(f"{time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
