"""connectiond on its own as a process: started by its command, spoken to as a service does, ended, and looked at."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.harness import processes
from tests.harness.bus_client import BusService
from tests.harness.logged import PATIENCE, Logged, LoggedMany
from tests.harness.node import PROGRAMS

_READY = r"connectiond: ([0-9a-f]{66}) on regtest listens (nowhere|on (.*)); MSG at (\S+), CTL at (\S+)$"


class Connectiond(Logged):
    """One on regtest. Starts with the constructor; `ready` waits."""

    def __init__(self, directory: Path, *options: str, program: Sequence[str | Path] = (), **how: Any) -> None:
        """`program` replaces the console script. `how`: as for `Logged`."""
        self.directory = directory
        self.node_id = ""
        self.bindings: list[str] = []
        self.msg = self.ctl = ""
        """The endpoints of the buses."""
        where = ("--network", "regtest", "--dir", str(directory), "--log-level", "debug")
        super().__init__(directory, [*(program or [PROGRAMS / "connectiond"]), *where, *options], **how)

    def ready(self) -> Self:
        """Wait until it listens, or dials. Raises NodeEnded."""
        match = re.search(_READY, self._wait_for(_READY, 0, PATIENCE))
        assert match is not None
        self.node_id, self.bindings = match[1], match[3].split(", ") if match[3] else []
        self.msg, self.ctl = match[4], match[5]
        return self

    @property
    def target(self) -> str:
        """What to dial."""
        return f"{self.node_id}@{self.bindings[0]}"

    @property
    def port(self) -> int:
        """Of its first address."""
        return int(self.bindings[0].rpartition(":")[2])

    def service(self, name: str = "channels", **how: Any) -> BusService:
        """A bus client; `join` begins its sessions."""
        return BusService(name, self.ctl, **how)

    def children(self, module: str) -> list[int]:
        """The processes of it that run this module."""
        return [pid for pid in processes.children(self.process.pid) if module in processes.command_line(pid)]


class Connectionds(LoggedMany[Connectiond]):
    """Those of a test."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._begun = 0

    def begin(self, *options: str, name: str | None = None, **how: Any) -> Connectiond:
        """Start one, and do not wait."""
        self._begun += 1
        self._all.append(Connectiond(self._directory / (name or f"c{self._begun}"), *options, **how))
        return self._all[-1]

    def start(self, *options: str, name: str | None = None, **how: Any) -> Connectiond:
        """The same, and wait until it is ready. Raises NodeEnded."""
        return self.begin(*options, name=name, **how).ready()

    async def ended(self, one: Connectiond) -> int:
        """Wait until it has ended by itself; its exit status, which the test has to look at."""
        status = await asyncio.to_thread(one.wait)
        assert not one.broken() and not one.left_behind()
        self.expect_end(one)
        return status
