"""Log lines with a verdict: io, trace, debug, info, unusual ("that is strange"), broken ("we are broken").

Every process writes whole lines to its standard error, which the master has pointed at the node's log; one `write`
a line, so that lines of several processes do not mix, and none waits for its reader (`wire.control.log_output`). A line
about a peer carries its node_id before the text.

The log is not a stranger's disk: what a stranger can cause goes through `by_stranger`, which cuts and counts it.
"""

import faulthandler
import functools
import logging
import os
import signal
import time

from wire.address import source_key
from wire.command.text import replaced
from wire.control.log_output import LogOutput, lost_lines
from wire.control.shares import Shares

IO, TRACE, DEBUG, INFO, UNUSUAL, BROKEN = 3, 5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

LEVELS = {"io": IO, "trace": TRACE, "debug": DEBUG, "info": INFO, "unusual": UNUSUAL, "broken": BROKEN}
LONGEST = 1_000
"""Characters of a line about a stranger."""
LONGEST_LINE = 4_000
"""Characters of any line, after its lead: half a screen."""
MOST_LINES = 200
"""Of a traceback: the last ones."""
REMEMBERED = 3_600.0
"""Seconds for which a stranger's lines are counted; then they begin at one again."""
FREE = 64
"""Lines of a kind that one source has before they are counted, whichever its node_ids: several peers may be there."""
SHOW_STACK = signal.SIGUSR1
"""On this signal a process writes the stacks of its threads to its log. The handler is C code, so a loop without end
does not keep it from being run; one that was stopped (SIGSTOP) shows nothing."""
LAST_WORDS = 1.0
"""Seconds that the reader of the log has at the end of a process to take what waits."""
MOST_COUNTED = 4_096
"""Counts that are remembered."""
_NAMES = {number: name.upper() for name, number in LEVELS.items()}


class _Formatter(logging.Formatter):
    """All that any process of ours logs goes through here: a message is one line, whatever stands in it, and cannot
    command a terminal. Only a traceback has several lines, and each of them says whose it is."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = _second(int(record.created))
        who = f"{record.node_id}-{record.name}" if hasattr(record, "node_id") else record.name
        lines = [record.getMessage()]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()[-MOST_LINES:]
        lead = f"{stamp}.{int(record.msecs):03d}Z {_NAMES.get(record.levelno, record.levelname):7} {who}: "
        return "\n".join(lead + _cut(sane(line)) for line in lines)


@functools.lru_cache(maxsize=1)
def _second(unix: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(unix))


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + "..."


class StrangersLines:
    """Which of the lines that strangers cause are worth their place: of each peer, source and kind the 1st, 2nd, 4th,
    8th ... of an hour. A source is a host, or an IPv6 /64.
    """

    def __init__(self) -> None:
        self.counts: Shares[tuple[str, bytes | str], tuple[float, int]] = Shares(MOST_COUNTED)
        self.sources: Shares[tuple[str, bytes | str], tuple[float, int]] = Shares(MOST_COUNTED)

    def worth(self, kind: str, node_id: bytes | str, address: str, now: float) -> int:
        """The how many-th of its peer it is in this hour; 0 if it need not be logged."""
        source = source_key(address)
        count = self._count(self.counts, (kind, node_id), source, now)
        if not _is_power_of_two(count):
            return 0
        shown = self._count(self.sources, (kind, source), source, now)
        return count if shown <= FREE or _is_power_of_two(shown) else 0

    def _count(
        self,
        table: "Shares[tuple[str, bytes | str], tuple[float, int]]",
        key: tuple[str, bytes | str],
        source: str,
        now: float,
    ) -> int:
        since, count = table.get(key) or (now, 0)
        if now - since >= REMEMBERED:
            since, count = now, 0
        table.put(key, (since, count + 1), source)
        return count + 1


def _is_power_of_two(count: int) -> bool:
    return count & (count - 1) == 0


_strangers_lines = StrangersLines()


class Status:
    """The log of one process. `peer` is a node_id of 33 bytes; a stranger's bytes go through `sane` before."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def _log(self, level: int, text: str, peer: bytes | None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", text, extra={"node_id": peer.hex()} if peer else None)

    def by_stranger(self, kind: str, text: str, node_id: bytes | str, address: str, level: int = UNUSUAL) -> None:
        """A line that a stranger can cause: cut to LONGEST; those that are not worth their place are debug lines.

        `kind` is one of few, never of a stranger's making. `node_id` is the service's name if that is who says it.
        """
        if not self._logger.isEnabledFor(level):
            return
        count = _strangers_lines.worth(kind, node_id, address, time.monotonic())
        text = text if len(text) <= LONGEST else text[:LONGEST] + "..."
        if count > 1:
            text += f" ({count} times so far)"
        self._log(level if count else DEBUG, text, node_id if isinstance(node_id, bytes) else None)

    def io(self, text: str, peer: bytes | None = None) -> None:
        """Bytes in and out."""
        self._log(IO, text, peer)

    def trace(self, text: str, peer: bytes | None = None) -> None:
        """Single steps."""
        self._log(TRACE, text, peer)

    def debug(self, text: str, peer: bytes | None = None) -> None:
        """What a developer wants to know."""
        self._log(DEBUG, text, peer)

    def info(self, text: str, peer: bytes | None = None) -> None:
        """What an operator wants to know."""
        self._log(INFO, text, peer)

    def unusual(self, text: str, peer: bytes | None = None) -> None:
        """That is strange, and not our doing."""
        self._log(UNUSUAL, text, peer)

    def broken(self, text: str, peer: bytes | None = None, *, exc_info: bool = False) -> None:
        """We are broken. No test passes with such a line in a log."""
        self._logger.log(BROKEN, "%s", text, exc_info=exc_info, extra={"node_id": peer.hex()} if peer else None)


class _Handler(logging.Handler):
    """To standard error. Python closes it when the process ends."""

    def __init__(self, output: LogOutput) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        self._output.write(f"{self.format(record)}\n".encode(errors="backslashreplace"))

    def close(self) -> None:
        self._output.finish(LAST_WORDS)
        super().close()


def end_logging() -> None:
    """Nothing more is logged by this process; what waits for the reader of the log has LAST_WORDS to leave."""
    for handler in logging.getLogger().handlers:
        handler.close()


def set_up_logging(level: str = "info") -> None:
    """Point this process's log at standard error. `level` is one of LEVELS; raises KeyError for any other."""
    handler = _Handler(LogOutput(2, lost_lines(f"log of process {os.getpid()}")))
    handler.setFormatter(_Formatter())
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line of ours says such things
    root = logging.getLogger()
    root.handlers[:] = [handler]
    faulthandler.register(SHOW_STACK, file=2, all_threads=True)
    root.setLevel(LEVELS[level])
    logging.getLogger("asyncio").setLevel(logging.WARNING)  # its debug lines are about its own selector


def sane(data: bytes | str) -> str:
    """A stranger's text made safe to print: of bytes those from 32 to 126 as they are, of text all but what
    `wire.command.text` calls unsafe; all others as a question mark (B1-35).
    """
    if isinstance(data, str):
        return replaced(data)
    return "".join(chr(byte) if 32 <= byte <= 126 else "?" for byte in data)
