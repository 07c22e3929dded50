"""One of our nodes as a process, for tests of the whole: started, spoken to, ended, and looked at for what it leaves.

    node = nodes.start()                      # fixture `nodes`; ready to be connected to when it returns
    await node.rpc("connect", id=other.target)
    await node.logged("disconnected")         # a line that is in the log or comes into it

Its log is a pipe that all its processes write to: so the pipe's end tells that all of them are gone. A node that is
ended by `Nodes` must go quietly, with exit status 0, no BROKEN line, no process, socket or pid file left.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from tests.harness import processes
from tests.harness.logged import PATIENCE, Logged, LoggedMany, NodeEnded, logs
from tests.harness.waiting import until

__all__ = ["Node", "NodeEnded", "Nodes", "RpcError", "logs"]

PROGRAMS = Path(sys.executable).parent
OPTIONS = ("--bind-addr=127.0.0.1:0", "--developer", "--dev-fast-gossip", "--dev-allow-localhost", "--log-level=debug")
NETWORK = "regtest"
LONGEST_ANSWER = 1 << 26
WEBSOCKETD_SOCKETS = 4
"""When it has begun: to the master, to connectd, and two of its loop."""
_READY = re.compile(rf"lightningd: ([0-9a-f]{{66}}) on {NETWORK} listens on (.*)$")


class RpcError(Exception):
    """What the node answered instead of a result."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class Node(Logged):
    """A node on regtest, chain `none`, port of the system's choice. Starts with the constructor; `ready` waits."""

    def __init__(
        self, directory: Path, *options: str, program: Sequence[str | Path] = (), stdin: Any = subprocess.DEVNULL
    ) -> None:
        """`options` come after OPTIONS. `program` replaces the console script."""
        self.lightning_dir = directory
        self.directory = directory / NETWORK
        self.node_id = ""
        self.bindings: list[str] = []
        self._sockets_at_start: dict[str, int] = {}
        where = (f"--network={NETWORK}", f"--lightning-dir={directory}")
        command = [*(program or [PROGRAMS / "lightningd-py"]), *where, *OPTIONS, *options]
        super().__init__(directory, command, stdin)

    # waiting

    def ready(self) -> Self:
        """Wait until it accepts connections. Raises NodeEnded."""
        match = _READY.search(self._wait_for(_READY.pattern, 0, PATIENCE))
        assert match is not None
        self.node_id, self.bindings = match[1], [] if match[2] == "nowhere" else match[2].split(", ")
        self.count_sockets()
        return self

    def count_sockets(self) -> None:
        """What each process has now is what it may have at the end (`has_no_more_sockets`)."""
        self._sockets_at_start = found = self.sockets()
        if "websocketd" in found:  # the node does not wait for it: it may have one so far
            found["websocketd"] = max(found["websocketd"], WEBSOCKETD_SOCKETS)

    # talking

    @property
    def port(self) -> int:
        """Of its first address."""
        return int(self.bindings[0].rpartition(":")[2])

    @property
    def target(self) -> str:
        """What to dial: `id@127.0.0.1:port`."""
        return f"{self.node_id}@{self.bindings[0]}"

    @property
    def rpc_file(self) -> Path:
        """Its JSON-RPC socket."""
        return self.directory / "lightning-rpc"

    async def rpc(self, method: str, /, **params: object) -> dict[str, Any]:
        """One request on a connection of its own. Raises RpcError."""
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(self.rpc_file, limit=LONGEST_ANSWER)
            try:
                request = {"jsonrpc": "2.0", "id": method, "method": method, "params": params}
                writer.write(json.dumps(request).encode())
                answer = json.loads(await reader.readuntil(b"\n\n"))
            finally:
                writer.close()
                await writer.wait_closed()
        if "error" in answer:
            raise RpcError(answer["error"])
        return dict(answer["result"])

    async def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """lightning-cli-py with these arguments."""
        where = (f"--network={NETWORK}", f"--lightning-dir={self.lightning_dir}")
        command = [str(PROGRAMS / "lightning-cli-py"), *where, *arguments]
        return await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    async def peers(self) -> dict[str, dict[str, Any]]:
        """listpeers, by node_id."""
        return {peer["id"]: peer for peer in (await self.rpc("listpeers"))["peers"]}

    async def peer(self, node_id: str | bytes) -> dict[str, Any]:
        """The peer's entry in listpeers; KeyError if there is none."""
        return (await self.peers())[node_id if isinstance(node_id, str) else node_id.hex()]

    # looking

    def pids(self) -> dict[str, int]:
        """`lightningd` and its children by name: the daemon's module, or the program's last word of the command."""
        return dict(self._all_pids())

    def names(self) -> list[str]:
        """Of all its processes: one for each, some of the same name."""
        return [name for name, _ in self._all_pids()]

    def pids_of(self, daemon: str) -> list[int]:
        """All of this name: there may be two while one takes the place of the other."""
        return [pid for name, pid in self._all_pids() if name == daemon]

    def _all_pids(self) -> Iterator[tuple[str, int]]:
        yield "lightningd", self.process.pid
        for pid in processes.children(self.process.pid):
            words = processes.command_line(pid)
            if words:  # else it has ended, and is about to be reaped
                name = words[words.index("-m") + 1] if "-m" in words else words[-1]
                yield name.rpartition(".")[2], pid

    def sockets(self) -> dict[str, int]:
        """How many sockets each of its processes has."""
        return {name: len(processes.sockets(pid)) for name, pid in self.pids().items()}

    def sockets_grown(self) -> dict[str, tuple[int, int]]:
        """The processes that have more sockets than when the node was ready: (then, now)."""
        then = self._sockets_at_start
        return {name: (then.get(name, 0), now) for name, now in self.sockets().items() if now > then.get(name, 0)}

    async def has_no_more_sockets(self) -> None:
        """Wait until it has let go of everything that has come since the start; for the end of a test."""

        async def none() -> bool:
            return not self.sockets_grown()

        # An fd is closed in another process: there is no event to wait for.
        await until(none, lambda: f"sockets (at the start, now): {self.sockets_grown()}")

    async def be_alone(self) -> None:
        """End all its connections, and see that nothing is left of them: for the end of a test on shared nodes."""
        for node_id in await self.peers():
            with contextlib.suppress(RpcError):  # it may have ended by itself
                await self.rpc("disconnect", id=node_id, force=True)
        await self.has_no_more_sockets()

    # the end

    def left_behind(self) -> list[str]:
        """Nor its pid file."""
        return super().left_behind() + [f"pid file {path}" for path in self.lightning_dir.glob("*.pid")]


class Nodes(LoggedMany[Node]):
    """The nodes of a test, or of a module."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    def begin(self, *options: str, name: str | None = None, **how: Any) -> Node:
        """Start a node in a directory of its own, or in `name`'s, and do not wait."""
        directory = self.directory(name)
        node = Node(directory, *options, **how)
        self._all.append(node)
        return node

    def start(self, *options: str, name: str | None = None, **how: Any) -> Node:
        """The same, and wait until it is ready. Raises NodeEnded."""
        return self.begin(*options, name=name, **how).ready()

    def directory(self, name: str | None = None) -> Path:
        """The lightning-dir that a node will have; made here, to put something into it first."""
        directory = self._directory / (name or f"l{len(self._all) + 1}")
        (directory / NETWORK).mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory
