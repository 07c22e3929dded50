"""The processes of a node out of /proc: CPU and memory of the master and of all that it has started."""

import os
from pathlib import Path

from wire.start.late_dataclass import dataclass

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """A process: `cpu` seconds since its start, resident memory in bytes."""

    pid: int
    name: str
    cpu: float
    memory: int


def usages(master: int, proc: Path = Path("/proc")) -> list[Usage]:
    """The master first, then its descendants by pid. Empty if /proc does not show it, as that of another user may."""
    parents = {pid: parent for pid in _pids(proc) if (parent := _parent(proc, pid)) is not None}
    ours = {master}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    found = [_usage(proc, pid) for pid in sorted(ours, key=lambda pid: (pid != master, pid))]
    return [usage for usage in found if usage is not None]


def _pids(proc: Path) -> list[int]:
    return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()]


def _stat(proc: Path, pid: int) -> list[str] | None:
    """The fields behind the command's name, which may have spaces and brackets: the first is the state."""
    try:
        return (proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _parent(proc: Path, pid: int) -> int | None:
    fields = _stat(proc, pid)
    return int(fields[1]) if fields else None


def _usage(proc: Path, pid: int) -> Usage | None:
    fields = _stat(proc, pid)
    if not fields:
        return None
    return Usage(pid, _name(proc, pid), (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * PAGE)


def _name(proc: Path, pid: int) -> str:
    """The module that Python runs, and its subcommand; else the kernel's name for the process, or the program's."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        named = (proc / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return "?"
    if not named.startswith("python") and not named.startswith("lightningd-py"):
        return named
    if "-m" in words[:-1]:
        module, *arguments = words[words.index("-m") + 1 :]
        return " ".join([module.rpartition(".")[2], *filter(str.isalpha, arguments[:1])])
    return next((Path(word).name for word in words[1:] if word and not word.startswith("-")), named)
