"""The last lines of a log file that are UNUSUAL or BROKEN."""

import os
from pathlib import Path

from wire.control.status import sane

READ = 1 << 18
"""Bytes at the end of the file that are looked at."""
LEVELS = (b" UNUSUAL ", b" BROKEN ")


def last_lines(path: Path, most: int) -> list[str]:
    """At most so many, the oldest first. Empty if the file cannot be read."""
    try:
        with path.open("rb") as file:
            start = max(0, file.seek(0, os.SEEK_END) - READ)
            file.seek(start)
            lines = file.read(READ).splitlines()
    except OSError:
        return []
    wanted = [line for line in lines[1 if start else 0 :] if any(level in line[:40] for level in LEVELS)]
    return [sane(line.decode(errors="replace")) for line in wanted[-most:]] if most else []
