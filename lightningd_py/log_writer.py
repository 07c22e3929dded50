"""The log writer: `python -S -P -m lightningd_py.log_writer STYLE FILE...` copies its standard input to these files.

Its own lines are as STYLE says (`wire.log.style`). Where that has levels for one file alone, each line goes to the
files that want it.

They are opened again on SIGHUP; besides them, and what lies in their directories, it can open nothing of the user's,
and read nothing at all. Control characters become question marks. What cannot be written is lost: a full disk,
or a standard output that is not read, costs lines, never the node. It ends with its input.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lightningd_py.errors import LogError
from wire.command.console import reason
from wire.control.landlock import restrict_files
from wire.control.privilege import give_up_privileges
from wire.control.status import Status
from wire.log.line import lost_lines, read_lead
from wire.log.output import LogOutput
from wire.log.style import LogStyle

STDOUT = "-"
LEAVE = signal.SIGUSR1
"""Another writer takes over: write what was read, and end."""
OURS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, LEAVE)
"""Signals that the writer has its own mind about."""
READ_SIZE = 1 << 16
LAST_WORDS = 2.0
"""Seconds that the reader of standard output has at the end."""
_PRINTABLE = bytes(byte if (byte >= 32 and byte != 127) or byte == ord("\n") else ord("?") for byte in range(256))
"""What reaches the files: `sane` for bytes whose lines were cut anywhere. Text that is no ASCII stays."""


def open_log(file: str) -> int:
    """An fd that belongs to the caller. Raises LogError."""
    if file == STDOUT:
        return os.dup(1)
    try:
        return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LogError(f"cannot open log file {file}: {reason(error)}") from error


class LogFile:
    """One of the files. If it cannot be opened now, perhaps it can be when it is opened again."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._fd: int | None = None
        self.reopen()

    def reopen(self) -> None:
        """Open it, and go on with that if it could be done."""
        with contextlib.suppress(LogError):
            new = open_log(self._file)
            if self._fd is not None:
                os.close(self._fd)
            self._fd = new

    def write(self, data: bytes) -> None:
        """Write all of it, if that can be."""
        with contextlib.suppress(OSError):
            while data and self._fd is not None:
                data = data[os.write(self._fd, data) :]


class Sieve:
    """Whole lines for each of the files, by its own levels. What no process of ours has made is for all of them, also
    the beginning of a line that is longer than READ_SIZE.
    """

    def __init__(self, style: LogStyle, files: Sequence[str]) -> None:
        self._style = style
        self._of_files = [style.of_file(file) for file in files]
        self._rest = b""

    def sieve(self, data: bytes) -> list[bytes]:
        """What each of the files gets now; no data: it has ended."""
        lines = (self._rest + data).splitlines(keepends=True)
        is_begun = data and lines[-1][-1:] != b"\n" and len(lines[-1]) < READ_SIZE
        self._rest = lines.pop() if is_begun else b""
        leads = [(line, read_lead(line.decode(errors="replace"), self._style)) for line in lines]
        return [
            b"".join(
                line for line, lead in leads if lead is None or lead.level >= own.level_of(lead.source, lead.node_id)
            )
            for own in self._of_files
        ]


def write_log(files: Sequence[str], style: LogStyle) -> None:
    """Until the end of standard input. Standard output is not waited for: the files go on without it."""
    on_disk = {file: LogFile(file) for file in files if file != STDOUT}
    standard_output = LogOutput(1, lost_lines("log writer", style))
    writes = {file: on_disk[file].write if file in on_disk else standard_output.write for file in files}
    sieve = Sieve(style, list(writes)).sieve if style.files else lambda data: [data] * len(writes)

    def reopen(*_: object) -> None:
        for file in on_disk.values():
            file.reopen()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, reopen)
    signal.signal(LEAVE, lambda *_: None)
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, OURS)
    while True:
        data = _read(woken).translate(_PRINTABLE)
        for write, lines in zip(writes.values(), sieve(data), strict=True):
            write(lines)
        if not data:
            break
    standard_output.finish(LAST_WORDS)


def main() -> None:
    """Give up what is not needed, and write."""
    status, style, files = Status("log writer"), sys.argv[1], sys.argv[2:]
    give_up_privileges(status)
    paths = [Path(file) for file in files if file != STDOUT]
    restrict_files(status, written={path.parent for path in (*paths, *(path.resolve() for path in paths))})
    write_log(files, LogStyle.parse(style))


def _read(woken: int) -> bytes:
    """What has come to standard input; nothing at its end, or if another writer is to read it. `woken` has the numbers
    of signals as they come, so that none can come between looking for it and waiting.
    """
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready and LEAVE in os.read(woken, READ_SIZE):
            return b""
        if 0 in ready:
            return os.read(0, READ_SIZE)


if __name__ == "__main__":
    main()
