"""A part of `lightning-observatory` that runs beside a node, as a child of the master.

What it says is in the node's log. One that ends is started again after a pause. `restart master` ends it, and the next
program starts another: nothing of a connection depends on it.
"""

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import Sequence

from lightningd_py.errors import StartError
from lightningd_py.owners.service_process import Output, environment
from wire.control.process import Process
from wire.control.status import Status

MODULE = "lightningd_py.observatory"
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before one that has ended is started again; twice as long each time."""
END_TIME = 20.0
"""Seconds that it has to write what it has."""

status = Status("lightningd")


def need(option: str, modules: Sequence[str]) -> None:
    """Raises StartError if the extra is not installed: these modules are of it."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise StartError(f"{option} needs {', '.join(missing)}: pip install 'lightningd-py[observatory]' gets them")


class Companion:
    """Runs while the node runs. `name`: in the log, and among the metrics of processes."""

    def __init__(self, name: str, words: Sequence[str]) -> None:
        """`words`: of its command line."""
        self.name = name
        self._command = [sys.executable, "-P", "-m", MODULE, *words]
        self._seconds = FIRST_PAUSE
        self._process: Process | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False

    @property
    def pid(self) -> int:
        """Of its process; 0 while there is none."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        """Start it now."""
        self._timer = None
        reading, writing = os.pipe()
        output = Output(self.name, reading)

        def exited(exit_status: int) -> None:
            output.close()
            self._exited(exit_status)

        try:
            self._process = Process(
                self._command, {2: writing}, exited, self.name, environment=environment(), group=True
            )
            output.pid = self._process.pid
        except OSError as error:
            output.close()
            status.unusual(f"the {self.name} cannot be started: {error}")
        finally:
            os.close(writing)

    def _exited(self, exit_status: int) -> None:
        self._process = None
        if self._closing:
            return
        status.unusual(f"the {self.name} has ended with {exit_status}: it is started again in {self._seconds:g} s")
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self.start)
        self._seconds = min(2 * self._seconds, LONGEST_PAUSE)

    async def close(self) -> None:
        """Let it write what it has, and end it."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGTERM)
            await self._process.wait(END_TIME)
