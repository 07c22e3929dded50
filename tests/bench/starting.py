"""The start of a node until it listens, and the command's first answer; beside empty Pythons of the same run.

The reference of the node is as many processes as it starts itself, each `python -c pass` with `site`, side by side; the
workers that it forks are not counted among them, and count in its figure. That of the command is one such Python.
"""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.bench.harness import ROOT, Bench, Row, cpu_seconds, family, module_of

ROUNDS = 5
PASS = (sys.executable, "-c", "pass")
PROGRAMS = Path(sys.executable).parent


class Spent(NamedTuple):
    """What a start has taken: milliseconds of the clock, and of CPU by each process."""

    wall: float
    cpu: dict[str, float]

    @property
    def in_all(self) -> float:
        """Milliseconds of CPU of all processes."""
        return sum(self.cpu.values())


@contextlib.contextmanager
def _node(directory: Path) -> Iterator[int]:
    """A node that listens; its pid."""
    where = ("--network=regtest", f"--lightning-dir={directory}", "--bind-addr=127.0.0.1:0")
    node = subprocess.Popen([PROGRAMS / "lightningd-py", *where], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert node.stdout is not None
        if not any(" listens on " in line for line in node.stdout):
            raise RuntimeError("the node has not started")
        yield node.pid
    finally:
        node.terminate()
        node.communicate()


def _listens(directory: Path) -> Spent:
    """One node from its exec to the line that it listens."""
    began = time.perf_counter()
    with _node(directory) as node:
        wall = 1_000 * (time.perf_counter() - began)
        cpu: dict[str, float] = {}
        for pid in family(node):
            name = "lightningd_py" if pid == node else module_of(pid)
            cpu[name] = cpu.get(name, 0.0) + 1_000 * cpu_seconds(pid)
        return Spent(wall, cpu)


def _spent(command: tuple[str | Path, ...], count: int = 1) -> Spent:
    """So many of it, side by side, until the last has ended."""
    began, before = time.perf_counter(), os.times()
    for process in [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(count)]:
        if process.wait():
            raise RuntimeError(f"{command} has failed")
    wall, after = 1_000 * (time.perf_counter() - began), os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    return Spent(wall, {"python": 1_000 * cpu})


def _best(measure: Callable[[], Spent]) -> Spent:
    """Of some rounds the least of each figure: noise only adds."""
    rounds = [measure() for _ in range(ROUNDS)]
    cpu = min(rounds, key=lambda spent: spent.in_all).cpu
    return Spent(min(spent.wall for spent in rounds), cpu)


async def measure(bench: Bench) -> Iterator[Row]:
    """A node again and again, in a directory that has its key; then the command beside a node."""
    directory = bench.directory / "node"
    directory.mkdir()
    node = _best(lambda: _listens(directory))
    empty = _best(lambda: _spent(PASS, len(node.cpu)))
    with _node(directory):
        where = ("--network=regtest", f"--lightning-dir={directory}")
        answer = _best(lambda: _spent((PROGRAMS / "lightning-cli-py", *where, "getinfo")))
    python = _best(lambda: _spent(PASS))
    many = f"{len(node.cpu)} empty Pythons"
    return iter(
        [
            Row("start to listening: wall", node.wall, "ms", empty.wall, many, "<= 500"),
            Row("start to listening: CPU", node.in_all, "ms CPU", empty.in_all, many),
            *(Row(f"start: {name}", spent, "ms CPU") for name, spent in node.cpu.items()),
            Row("the command's first answer: wall", answer.wall, "ms", python.wall, "an empty Python", "<= 80"),
            Row("the command's first answer: CPU", answer.in_all, "ms CPU", python.in_all, "an empty Python"),
        ]
    )
