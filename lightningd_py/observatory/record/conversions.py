"""Conversions in a thread beside the reading of the feed. One at a time."""

import threading
from pathlib import Path

import pyarrow as pa

from lightningd_py.observatory.record.conversion import Between, Chosen, Conversion, Leave, leave_place


class Conversions:
    """`start` one, look whether it `is_running`, and hear of its `failure`."""

    def __init__(
        self, folder: Path, vantage: str, between: Between = lambda step: None, leave: Leave = leave_place
    ) -> None:
        self._conversion = Conversion(folder, vantage, between, leave)
        self._thread: threading.Thread | None = None
        self._failure = ""

    @property
    def is_running(self) -> bool:
        """Segments are being read: none may be removed now."""
        return self._thread is not None and self._thread.is_alive()

    def failure(self) -> str:
        """Why the last one has failed, said once; empty if it has not."""
        failure, self._failure = self._failure, ""
        return failure

    def start(self, chosen: Chosen) -> None:
        """Begin; what an earlier one has left is done first."""
        self._thread = threading.Thread(target=self._run, args=(chosen,), name="conversion")
        self._thread.start()

    def _run(self, chosen: Chosen) -> None:
        try:
            self._conversion.convert(chosen)
        except (OSError, pa.ArrowException) as error:
            self._failure = str(error)
        pa.default_memory_pool().release_unused()

    def wait(self) -> None:
        """Until the one that runs has ended."""
        if self._thread is not None:
            self._thread.join()
