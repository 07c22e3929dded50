"""Log lines with a verdict: io, trace, debug, info, unusual ("that is strange"), broken ("we are broken").

Every process writes whole lines to its standard error, which the master has pointed at the node's log; one `write`
a line, so that lines of several processes do not mix. A line about a peer carries its node_id before the text.
"""

import logging
import sys
import time

IO, TRACE, DEBUG, INFO, UNUSUAL, BROKEN = 3, 5, logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR

LEVELS = {"io": IO, "trace": TRACE, "debug": DEBUG, "info": INFO, "unusual": UNUSUAL, "broken": BROKEN}
_NAMES = {number: name.upper() for name, number in LEVELS.items()}


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        who = f"{record.node_id}-{record.name}" if hasattr(record, "node_id") else record.name
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        lead = f"{stamp}.{int(record.msecs):03d}Z {_NAMES.get(record.levelno, record.levelname):7} {who}: "
        return "\n".join(lead + sane(line) for line in text.splitlines())


class Status:
    """The log of one process. `peer` is a node_id of 33 bytes; a stranger's bytes go through `sane` before."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def _log(self, level: int, text: str, peer: bytes | None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, "%s", text, extra={"node_id": peer.hex()} if peer else None)

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


def set_up_logging(level: str = "info") -> None:
    """Point this process's log at standard error. `level` is one of LEVELS; raises KeyError for any other."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    logging.getLogger("asyncio").setLevel(logging.WARNING)  # its debug lines are about its own selector


def sane(data: bytes | str) -> str:
    """A stranger's text made safe to print: of bytes those from 32 to 126 as they are, of text what Unicode calls
    printable; all others as a question mark (B1-35).
    """
    if isinstance(data, str):
        return data if data.isprintable() else "".join(char if char.isprintable() else "?" for char in data)
    return "".join(chr(byte) if 32 <= byte <= 126 else "?" for byte in data)
