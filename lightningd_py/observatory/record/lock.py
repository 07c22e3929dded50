"""One recorder for each vantage point in a folder."""

import fcntl
import os
from pathlib import Path

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.files import make_folder
from lightningd_py.observatory.tables.names import SPOOL, file_name


class Lock:
    """Held until `close`, or the end of the process."""

    def __init__(self, folder: Path, vantage: str) -> None:
        """Raises ObservatoryError if another recorder has it, and OSError."""
        make_folder(folder / SPOOL)
        path = folder / SPOOL / f"{file_name(vantage)}.lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise ObservatoryError(f"another recorder writes to {folder} as {vantage}") from None

    def close(self) -> None:
        """Let another one have it."""
        os.close(self._fd)
