"""Landlock: what this process may still open. Three system calls, through ctypes; landlock(7).

A file that is open stays usable, and sockets are not touched. It holds for the calling thread and all that it starts
from then on, and cannot be undone: so it comes before the first thread.
"""

import contextlib
import ctypes
import os
import site
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from wire.control.status import Status

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE = 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12
"""Devices, directories, regular files, FIFOs and links; not sockets, which connectd binds, nor the removal of these."""
_HANDLED = _EXECUTE | _WRITE_FILE | _READ_FILE | _READ_DIR | _MAKE
_TRUNCATE, _TRUNCATE_SINCE = 1 << 14, 3

SYSTEM = ("/usr", "/lib", "/lib64", "/etc", "/dev", "/proc", "/run/systemd/resolve", "/run/resolvconf")
"""Libraries, what resolves names, and what the C library itself reads."""


class _RulesetAttr(ctypes.Structure):
    _fields_ = [("handled_access_fs", ctypes.c_uint64)]


class _PathBeneathAttr(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32)]


def _call(number: int, *arguments: object) -> int:
    """A system call. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def landlock_version() -> int:
    """What the kernel has; 0 for none, or if it is switched off."""
    try:
        return _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    except OSError:
        return 0


def code_directories() -> list[str]:
    """Where our modules and others' lie: a module may be imported later."""
    ours = str(Path(__file__).parents[2])
    return [path for path in (ours, *sys.path, sys.prefix, sys.base_prefix, *site.getsitepackages()) if path]


def restrict_files(
    status: Status,
    readable: Iterable[str | Path] = (),
    *,
    kept: Iterable[str | Path] = (),
    written: Iterable[str | Path] = (),
) -> None:
    """Open nothing from here on but the system's files and our code, to read, with what is named: `readable`, to read;
    directories `kept`, to read and write and make files; directories `written`, to write and make files.

    Nothing happens where the kernel has no Landlock: the master says so. Needs `give_up_privileges` before.
    """
    version = landlock_version()
    if not version:
        return
    truncate = _TRUNCATE if version >= _TRUNCATE_SINCE else 0
    write = _WRITE_FILE | _MAKE | truncate
    read = _READ_FILE | _READ_DIR
    rules: dict[str | Path, int] = dict.fromkeys([*SYSTEM, *code_directories(), *readable], read)
    for directories, access in ((written, write), (kept, read | write)):
        for directory in directories:
            rules[directory] = rules.get(directory, 0) | access
    try:
        _restrict(_HANDLED | truncate, rules)
    except OSError as error:
        status.unusual(f"this process may open any file: Landlock failed: {error.strerror}")


def _restrict(handled: int, rules: Mapping[str | Path, int]) -> None:
    attr = _RulesetAttr(handled)
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attr), ctypes.c_size_t(ctypes.sizeof(attr)), ctypes.c_uint32(0))
    try:
        for path, access in rules.items():
            with contextlib.suppress(FileNotFoundError, PermissionError):
                _allow(ruleset, path, access)
        _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str | Path, access: int) -> None:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneathAttr(access if Path(path).is_dir() else access & ~(_READ_DIR | _MAKE), fd)
        _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(fd)
