"""Log lines with a verdict: io, trace, debug, info, unusual ("that is strange"), broken ("we are broken").

Every process writes whole lines to its standard error, which the master has pointed at the node's log; one `write`
a line, so that lines of several processes do not mix, and none waits for its reader (`wire.log`). A line
about a peer carries its node_id before the text.

The log is not a stranger's disk: what a stranger can cause goes through `by_stranger`, which cuts and counts it.
"""

import dataclasses
import faulthandler
import logging
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from wire.address import source_key
from wire.command.text import replaced
from wire.control.shares import Shares
from wire.log.forward import Forward, Line
from wire.log.line import LineFormatter, lost_lines, node_id_of
from wire.log.output import LogOutput
from wire.log.style import BROKEN, DEBUG, INFO, IO, LEVELS, TRACE, UNUSUAL, LogStyle, parse_levels

if TYPE_CHECKING:
    from wire.control.control_wire import LogLine, SetLog

__all__ = [
    "BROKEN",
    "DEBUG",
    "INFO",
    "IO",
    "LEVELS",
    "TRACE",
    "UNUSUAL",
    "Status",
    "StrangersLines",
    "end_logging",
    "sane",
    "set_up_logging",
]

LONGEST = 1_000
"""Characters of a line about a stranger."""
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
        if _output is not None:
            self._logger.setLevel(_output.style.lowest_level_of(name))

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

    def __init__(self, output: LogOutput, style: LogStyle) -> None:
        super().__init__()
        self._output = output
        self.style = style
        self.setFormatter(LineFormatter(style))
        self.addFilter(self._is_wanted)

    @property
    def lost(self) -> int:
        """Lines that were never written."""
        return self._output.lost

    def _is_wanted(self, record: logging.LogRecord) -> bool:
        """What a logger's own level cannot know: of which peer a line is."""
        return record.levelno >= self.style.level_of(record.name, node_id_of(record))

    def emit(self, record: logging.LogRecord) -> None:
        self._output.write(f"{self.format(record)}\n".encode(errors="backslashreplace"))

    def close(self) -> None:
        self._output.finish(LAST_WORDS)
        super().close()


LIBRARIES = {"asyncio": logging.WARNING, "websockets": logging.ERROR}
"""The lowest level of others' lines, whatever the style: asyncio's debug lines are about its own selector, and those of
websockets show each frame of a stranger's.
"""

_output: _Handler | None = None
"""This process's, once `set_up_logging` was called."""


def end_logging() -> None:
    """Nothing more is logged by this process; what waits for the reader of the log has LAST_WORDS to leave."""
    for handler in logging.getLogger().handlers:
        handler.close()


def set_up_logging(style: str = "info") -> None:
    """Point this process's log at standard error. `style`: see `LogStyle.argument`. Raises ValueError."""
    global _output
    chosen = LogStyle.parse(style)
    output = LogOutput(2, lost_lines(f"log of process {os.getpid()}", chosen))
    _output = _Handler(output, chosen)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # no line of ours says such things
    logging.getLogger().handlers[:] = [_output]
    faulthandler.register(SHOW_STACK, file=2, all_threads=True)
    _put_levels_in_force(chosen)


def _put_levels_in_force(style: LogStyle) -> None:
    root = logging.getLogger()
    for name, logger in root.manager.loggerDict.items():
        if isinstance(logger, logging.Logger) and "." not in name:
            logger.setLevel(style.lowest_level_of(name))
    root.setLevel(style.level_of(""))
    for name, level in LIBRARIES.items():
        logging.getLogger(name).setLevel(level)


def change_levels(levels: str) -> None:
    """Which lines are logged from now on, as `parse_levels` reads it: of all that come through `set_up_logging`."""
    if _output is not None:
        _output.style = dataclasses.replace(_output.style, levels=parse_levels(levels))
        _put_levels_in_force(_output.style)


def forward_log(say: Callable[[Line], bool]) -> None:
    """Give each line to `say`, too, see `wire.log.forward`; to this one alone from now on."""
    if _output is not None:
        forward = Forward(say)
        forward.addFilter(_output._is_wanted)
        logging.getLogger().handlers[:] = [_output, forward]


def heed_log(message: "SetLog", send: "Callable[[LogLine], bool]") -> None:
    """What a daemon does about `set_log`. `send` returns whether it could tell the master."""
    from wire.control.control_wire import LogLine  # a process without a master, as the log writer, has no messages

    def say(line: Line) -> bool:
        return send(LogLine(line.created, line.level, line.source, line.node_id, line.text, line.left_out))

    change_levels(message.levels)
    forward_log(say)


def lines_lost() -> int:
    """How many lines of this process its reader did not take."""
    return 0 if _output is None else _output.lost


def sane(data: bytes | str) -> str:
    """A stranger's text made safe to print: of bytes those from 32 to 126 as they are, of text all but what
    `wire.command.text` calls unsafe; all others as a question mark (B1-35).
    """
    if isinstance(data, str):
        return replaced(data)
    return "".join(chr(byte) if 32 <= byte <= 126 else "?" for byte in data)
