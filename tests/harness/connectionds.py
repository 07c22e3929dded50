"""connectiond on its own as a process: started by its command, spoken to as a service does, ended, and looked at."""

import re
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness import processes
from tests.harness.bus_client import BusService
from tests.harness.logged import PATIENCE, Logged
from tests.harness.node import PROGRAMS

_READY = r"connectiond: ([0-9a-f]{66}) on regtest listens (nowhere|on (.*)); MSG at (\S+), CTL at (\S+)$"


class Connectiond(Logged):
    """One on regtest. Starts with the constructor; `ready` waits."""

    def __init__(self, directory: Path, *options: str, stdin: Any = subprocess.DEVNULL) -> None:
        self.directory = directory
        self.node_id = ""
        self.bindings: list[str] = []
        self.msg = self.ctl = ""
        """The endpoints of the buses."""
        where = ("--network", "regtest", "--dir", str(directory), "--log-level", "debug")
        super().__init__(directory.name, [PROGRAMS / "connectiond", *where, *options], stdin)

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

    def left_behind(self) -> list[str]:
        """What must not be left of one that has ended."""
        left = [f"process {pid}: {processes.command_line(pid)}" for pid in self.survivors()]
        return left + [f"socket {path}" for path in self.directory.rglob("*") if path.is_socket()]


class Connectionds:
    """Those of a test: all of them end with the `with` block, and must end well."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._all: list[Connectiond] = []

    def begin(self, *options: str, name: str | None = None, **how: Any) -> Connectiond:
        """Start one, and do not wait."""
        self._all.append(Connectiond(self._directory / (name or f"c{len(self._all) + 1}"), *options, **how))
        return self._all[-1]

    def start(self, *options: str, name: str | None = None, **how: Any) -> Connectiond:
        """The same, and wait until it is ready. Raises NodeEnded."""
        return self.begin(*options, name=name, **how).ready()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for one in self._all:
                ended = one.process.poll() is not None
                assert one.stop() == 0 or ended, f"exit status {one.process.returncode}\n{one.log}"
            broken = [line for one in self._all for line in one.broken()]
            assert not broken, "\n".join(broken)
            assert [left for one in self._all for left in one.left_behind()] == []
        finally:
            for one in self._all:
                one.kill()
