"""gossipd on the test's own loop, with the test's time: all of it but `__main__`, and its parts can be looked at."""

import random
import socket
from collections.abc import Callable
from pathlib import Path

from gossipd.control import Control
from gossipd.gossipd import Gossipd
from gossipd.ingest.workers import Workers
from tests.gossipd.gossipd_process import GossipdProcess
from tests.gossipd.messages import NOW
from tests.harness.injected_time import START, InjectedTime


class Inside(GossipdProcess):
    """A GossipdProcess whose gossipd is no process. One worker checks signatures, so that verdicts come in order."""

    def __init__(self, directory: Path, loop: InjectedTime) -> None:
        self._loop = loop
        super().__init__(directory)

    def _begin(self, sockets: tuple[socket.socket, ...]) -> None:
        self.exit_status: int | None = None
        master, hsm, link = sockets
        self._control = Control(master, hsm, link, Workers(1), self._stopped, self.now, random.Random(1))
        self._loop.set_waits_for(lambda: self._control._gossipd is not None and self.gossipd.ingest.checks.waiting > 0)

    def _stopped(self, status: int) -> None:
        self.exit_status = status

    def now(self) -> float:
        """Unix seconds: the messages that tests make are of the moment in which the loop began."""
        return NOW + self._loop.time() - START

    @property
    def gossipd(self) -> Gossipd:
        """What is at work after `start`."""
        assert self._control._gossipd is not None
        return self._control._gossipd

    def watch(self, look: Callable[[], None]) -> None:
        """Call `look` in each turn of the loop."""
        self._loop.set_looks_on(look)

    def fds(self) -> int:
        """None of its own."""
        return 0

    def clean_up(self) -> None:
        """End it, and leave nothing behind."""
        self._control.close()
        self.let_go()
