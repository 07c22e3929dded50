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
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.harness import processes

PROGRAMS = Path(sys.executable).parent
OPTIONS = ("--bind-addr=127.0.0.1:0", "--developer", "--dev-fast-gossip", "--dev-allow-localhost", "--log-level=debug")
NETWORK = "regtest"
PATIENCE = 30.0
"""Seconds until something that must come is given up."""
LONGEST_ANSWER = 1 << 26
_READY = re.compile(rf"lightningd: ([0-9a-f]{{66}}) on {NETWORK} listens on (.*)$")
_LISTENING: list["Node"] = []
"""Nodes whose log is worth showing when a test fails."""


class RpcError(Exception):
    """What the node answered instead of a result."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]
        self.data: Any = error.get("data")


class NodeEnded(Exception):
    """The node has ended instead of doing what was waited for; the text is its log."""


class Node:
    """A node on regtest, chain `none`, port of the system's choice. Starts with the constructor; `ready` waits."""

    def __init__(
        self, directory: Path, *options: str, program: Sequence[str | Path] = (), stdin: Any = subprocess.DEVNULL
    ) -> None:
        """`options` come after OPTIONS. `program` replaces the console script."""
        self.lightning_dir = directory
        self.directory = directory / NETWORK
        self.node_id = ""
        self.bindings: list[str] = []
        self.lines: list[str] = []
        """The log so far, and what the node said on standard error."""
        self._grown = threading.Condition()
        self._at_end = False
        where = (f"--network={NETWORK}", f"--lightning-dir={directory}")
        self.process = subprocess.Popen(
            [*(program or [PROGRAMS / "lightningd-py"]), *where, *OPTIONS, *options],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        self._sockets_at_start: dict[str, int] = {}
        _LISTENING.append(self)

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as log:
            for line in log:
                with self._grown:
                    self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self._grown.notify_all()
        with self._grown:
            self._at_end = True
            self._grown.notify_all()

    # waiting

    def ready(self) -> Self:
        """Wait until it accepts connections. Raises NodeEnded."""
        match = _READY.search(self._wait_for(_READY.pattern, 0, PATIENCE))
        assert match is not None
        self.node_id, self.bindings = match[1], [] if match[2] == "nowhere" else match[2].split(", ")
        self._sockets_at_start = self.sockets()
        return self

    def _wait_for(self, pattern: str, start: int, patience: float) -> str:
        deadline = time.monotonic() + patience
        with self._grown:
            while True:
                for line in self.lines[start:]:
                    if re.search(pattern, line):
                        return line
                start = len(self.lines)
                if self._at_end:
                    raise NodeEnded(self.log)
                if not self._grown.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"no line like {pattern!r} in the log:\n{self.log}")

    async def logged(self, pattern: str, start: int = 0, patience: float = PATIENCE) -> str:
        """The first line, from this one on, that matches; waits for it. Raises NodeEnded, TimeoutError."""
        return await asyncio.to_thread(self._wait_for, pattern, start, patience)

    def all_gone(self, patience: float = PATIENCE) -> bool:
        """Wait until none of its processes can write to the log any more. False if that takes too long."""
        with self._grown:
            return self._grown.wait_for(lambda: self._at_end, patience)

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
        command = [PROGRAMS / "lightning-cli-py", *where, *arguments]
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

    @property
    def log(self) -> str:
        """All of it, so far."""
        return "\n".join(self.lines)

    def broken(self) -> list[str]:
        """The lines that no test passes with."""
        return [line for line in self.lines if " BROKEN " in line]

    def pids(self) -> dict[str, int]:
        """`lightningd` and its children by name: the daemon's module, or the program's last word of the command."""
        found = {"lightningd": self.process.pid}
        for pid in processes.children(self.process.pid):
            words = processes.command_line(pid)
            name = words[words.index("-m") + 1] if "-m" in words else (words or ["?"])[-1]
            found[name.rpartition(".")[2]] = pid
        return found

    def sockets(self) -> dict[str, int]:
        """How many sockets each of its processes has."""
        return {name: len(processes.sockets(pid)) for name, pid in self.pids().items()}

    def sockets_grown(self) -> dict[str, tuple[int, int]]:
        """The processes that have more sockets than when the node was ready: (then, now)."""
        then = self._sockets_at_start
        return {name: (then.get(name, 0), now) for name, now in self.sockets().items() if now > then.get(name, 0)}

    async def has_no_more_sockets(self) -> None:
        """Wait until it has let go of everything that has come since the start; for the end of a test."""
        deadline = time.monotonic() + 5.0
        while grown := self.sockets_grown():
            assert time.monotonic() < deadline, f"sockets (at the start, now): {grown}"
            await asyncio.sleep(0.02)  # an fd is closed in another process: there is no event to wait for

    async def be_alone(self) -> None:
        """End all its connections, and see that nothing is left of them: for the end of a test on shared nodes."""
        for node_id in await self.peers():
            with contextlib.suppress(RpcError):  # it may have ended by itself
                await self.rpc("disconnect", id=node_id, force=True)
        await self.has_no_more_sockets()

    # the end

    def send_signal(self, number: signal.Signals, whole_group: bool = False) -> None:
        """To the master, or as a terminal does it, to all."""
        if whole_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """Its exit status, once it and all its processes have ended. Raises TimeoutExpired."""
        status = self.process.wait(patience)
        assert self.all_gone(patience) and self._no_survivors(), f"its master has gone, not so: {self.survivors()}"
        return status

    def _no_survivors(self) -> bool:
        """A process lets go of the log a moment before it is gone."""
        deadline = time.monotonic() + 5.0
        while self.survivors() and time.monotonic() < deadline:
            time.sleep(0.01)
        return not self.survivors()

    def stop(self) -> int:
        """SIGTERM and wait; the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """Whatever is left of it, at once."""
        for pid in self.survivors():
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        if self in _LISTENING:
            _LISTENING.remove(self)

    def survivors(self) -> list[int]:
        """Its processes that live."""
        return processes.session(self.process.pid)

    def left_behind(self) -> list[str]:
        """What an ended node must not leave: processes, socket files, its pid file."""
        left = [f"process {pid}: {processes.command_line(pid)}" for pid in self.survivors()]
        left += [f"socket {path}" for path in self.lightning_dir.rglob("*") if path.is_socket()]
        return left + [f"pid file {path}" for path in self.lightning_dir.glob("*.pid")]


class Nodes:
    """The nodes of a test, or of a module: all of them end with the `with` block, and must end well."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._nodes: list[Node] = []

    def begin(self, *options: str, name: str | None = None, **how: Any) -> Node:
        """Start a node in a directory of its own, or in `name`'s, and do not wait."""
        directory = self.directory(name)
        node = Node(directory, *options, **how)
        self._nodes.append(node)
        return node

    def start(self, *options: str, name: str | None = None, **how: Any) -> Node:
        """The same, and wait until it is ready. Raises NodeEnded."""
        return self.begin(*options, name=name, **how).ready()

    def directory(self, name: str | None = None) -> Path:
        """The lightning-dir that a node will have; made here, to put something into it first."""
        directory = self._directory / (name or f"l{len(self._nodes) + 1}")
        (directory / NETWORK).mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory

    def expect_end(self, node: Node) -> None:
        """This one has ended as its test has wanted it: there is nothing to check any more."""
        node.kill()
        self._nodes.remove(node)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            running = [node for node in self._nodes if node.process.poll() is None]
            for node in running:
                node.process.terminate()
            statuses = {node.lightning_dir.name: node.wait() for node in self._nodes}
            assert set(statuses.values()) <= {0}, f"exit statuses: {statuses}"
            assert [line for node in self._nodes for line in node.broken()] == []
            assert [left for node in self._nodes for left in node.left_behind()] == []
        finally:
            for node in self._nodes:
                node.kill()


def logs() -> list[tuple[str, str]]:
    """(title, text) of the nodes that run now, for the report of a failed test."""
    return [(f"log of {node.lightning_dir.name}", "\n".join(node.lines[-60:])) for node in _LISTENING]
