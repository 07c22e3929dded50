"""The node's directory and its lock."""

import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lightningd_py.errors import DirectoryError
from lightningd_py.pid_lock import PidLock, make_directory

HOLDER = """
import sys
from pathlib import Path
from lightningd_py.pid_lock import PidLock
lock = PidLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
if sys.argv[2] == "release":
    lock.release()
"""


@contextmanager
def holder(path: Path, end: str = "release") -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock. The lock is between processes: one cannot shut itself out."""
    command = [sys.executable, "-c", HOLDER, str(path), end]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        assert process.stdin is not None
        process.stdin.close()
        process.wait()


def test_directories_are_for_their_owner_only(tmp_path: Path) -> None:
    network_dir = tmp_path / "deep" / "ln" / "regtest"
    make_directory(network_dir)
    make_directory(network_dir)
    for directory in (network_dir, network_dir.parent, network_dir.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "ln").write_text("")
    with pytest.raises(DirectoryError, match=r"cannot make directory .*/ln: File exists"):
        make_directory(tmp_path / "ln" / "regtest")


def test_a_second_start_says_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "lightningd-regtest.pid"
    with holder(path) as process:
        assert path.read_text() == f"{process.pid}\n"
        with pytest.raises(DirectoryError, match=f"process {process.pid} holds {path}"):
            PidLock(path)
        assert path.read_text() == f"{process.pid}\n"
    assert not path.exists()
    PidLock(path).release()
    assert not path.exists()


def test_a_killed_holder_leaves_a_file_and_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with holder(path) as process:
        process.kill()
    assert path.exists()
    lock = PidLock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lock.release()


def test_a_file_removed_while_it_was_opened_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real = tmp_path / "pid", fcntl.lockf

    def lock_after_removal(fd: int, flags: int) -> None:
        monkeypatch.setattr(fcntl, "lockf", real)
        path.unlink()
        real(fd, flags)

    monkeypatch.setattr(fcntl, "lockf", lock_after_removal)
    lock = PidLock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_no_place_for_the_file(tmp_path: Path) -> None:
    with pytest.raises(DirectoryError, match=r"cannot write pid file .*: No such file"):
        PidLock(tmp_path / "nowhere" / "pid")


def test_a_symbolic_link_to_nothing_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "ln").symlink_to(tmp_path / "nothing")
    with pytest.raises(DirectoryError, match=r"ln: it is a symbolic link to nothing"):
        make_directory(tmp_path / "ln" / "regtest")
