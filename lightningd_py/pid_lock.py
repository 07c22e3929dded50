"""The node's directory, and the lock that makes it the node's own for its life.

`<lightning-dir>/<network>/` is for its owner only. The pid file is locked in the way of CLN, under CLN's name: so
neither two of our nodes nor one of ours and a CLN can run in one directory. The lock is the process's own: it ends
with the process however that dies, and is not inherited by fork (so daemonize first).
"""

import fcntl
import os
from pathlib import Path

from lightningd_py.errors import DirectoryError
from wire.command.console import reason
from wire.control.control_message import Fd


def make_directory(network_dir: Path) -> None:
    """Make the directory and those above it that are missing, all with permissions 0700. Raises DirectoryError."""
    for directory in [*reversed(network_dir.parents), network_dir]:
        try:
            if not directory.is_dir():
                directory.mkdir(mode=0o700)
        except OSError as error:
            why = "it is a symbolic link to nothing" if directory.is_symlink() else reason(error)
            raise DirectoryError(f"cannot make directory {directory}: {why}") from error


class PidLock:
    """The pid file, locked from here on. Raises DirectoryError, which names the process that has it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._fd = _locked(path)
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)
        except OSError as error:
            raise DirectoryError(f"cannot write pid file {path}: {reason(error)}") from error

    @classmethod
    def adopt(cls, path: Path, fd: Fd) -> "PidLock":
        """The lock of the program before us in this process: exec keeps it, while no fd of that file is closed."""
        lock = cls.__new__(cls)
        lock._path, lock._fd = path, fd
        return lock

    def hand_over(self) -> Fd:
        """For the next program of this process, which must inherit it."""
        return Fd(self._fd)

    def release(self) -> None:
        """Remove the pid file and let go, in this order: a process that opens it later makes a new one."""
        self._path.unlink(missing_ok=True)
        os.close(self._fd)


def _locked(path: Path) -> int:
    """An fd of the file that has this name and that we hold the lock of."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise DirectoryError(f"a node is running here already: process {holder} holds {path}") from error
        if _is_still(path, fd):
            return fd
        os.close(fd)  # its last holder removed it while we opened it


def _is_still(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
