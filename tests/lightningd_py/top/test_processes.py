"""Processes out of /proc."""

import os
from pathlib import Path

from lightningd_py.top.processes import usages


def process(proc: Path, pid: int, parent: int, comm: str, *words: str, cpu: int = 0) -> None:
    (proc / str(pid)).mkdir()
    fields = ["S", str(parent), *"0" * 9, str(cpu), "0", *"0" * 8, "3"]
    (proc / str(pid) / "stat").write_text(f"{pid} ({comm}) {' '.join(fields)}\n")
    (proc / str(pid) / "comm").write_text(f"{comm}\n")
    (proc / str(pid) / "cmdline").write_bytes("\0".join([*words, ""]).encode())


def test_a_node_and_its_children(tmp_path: Path) -> None:
    process(tmp_path, 10, 1, "lightningd-py", "python", "/bin/lightningd-py", "--regtest")
    process(tmp_path, 12, 10, "python3", "python3", "-P", "-m", "gossipd", "3")
    process(tmp_path, 14, 12, "gossipd-sigs) x", "python3", "-m", "gossipd", cpu=os.sysconf("SC_CLK_TCK"))
    process(tmp_path, 11, 10, "python3", "python3", "-P", "-m", "lightningd_py.log_writer", "-", "/var/log/x")
    process(tmp_path, 13, 1, "python3", "python3", "-m", "stranger")
    process(tmp_path, 15, 10, "python3", "python3", "-m", "lightningd_py.observatory", "record", "/history")
    found = usages(10, tmp_path)
    assert [(usage.pid, usage.name) for usage in found] == [
        (10, "lightningd-py"),
        (11, "log_writer"),
        (12, "gossipd"),
        (14, "gossipd-sigs) x"),
        (15, "observatory record"),
    ]
    assert found[3].cpu == 1.0
    assert found[0].memory == 3 * os.sysconf("SC_PAGE_SIZE")


def test_what_is_not_there(tmp_path: Path) -> None:
    assert usages(10, tmp_path) == []
    assert os.getpid() in [usage.pid for usage in usages(os.getpid())]
