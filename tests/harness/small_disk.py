"""A file system of a test's own, which is soon full."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[None]:
    """So many bytes, in memory. Only root can mount it: CalledProcessError for others. It goes in any case."""
    place.mkdir(exist_ok=True)
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True, capture_output=True)
        yield
    finally:
        while place.is_mount():  # also if Ctrl-C has come as soon as it was there
            subprocess.run(["umount", "-l", place], check=True)
