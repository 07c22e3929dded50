"""One of our nodes as other people's peers meet it: a process, its JSON-RPC socket, and its log."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
LONGEST_ANSWER = 1 << 24
OPTIONS = ("--bind-addr=127.0.0.1:0", "--developer", "--dev-fast-gossip", "--dev-allow-localhost", "--log-level=debug")


class Node:
    """Chain `none`, a port of the system's choice."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self.process = process
        self.directory = directory / "regtest"
        self.log = directory / "log"
        self.node_id = ""
        self.port = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, directory: Path) -> AsyncIterator["Node"]:
        """Started and answering; stopped afterwards, and then its log has no BROKEN line."""
        with (directory / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "lightningd_py", "--network=regtest", f"--lightning-dir={directory}"),
                *OPTIONS,
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        node = cls(process, directory)
        try:
            await until(node.answers, f"the node does not start:\n{node.log.read_text()}")
            info = await node.rpc("getinfo")
            node.node_id, node.port = info["id"], info["binding"][0]["port"]
            yield node
        finally:
            await node.stop()
        assert [line for line in node.log.read_text().splitlines() if "BROKEN" in line] == []

    async def answers(self) -> bool:
        assert self.process.returncode is None, self.log.read_text()
        with contextlib.suppress(OSError):
            await self.rpc("getinfo")
            return True
        return False

    async def rpc(self, method: str, **params: object) -> dict[str, Any]:
        """Raises RuntimeError with the node's error object."""
        reader, writer = await asyncio.open_unix_connection(self.directory / "lightning-rpc", limit=LONGEST_ANSWER)
        try:
            request = {"jsonrpc": "2.0", "id": method, "method": method, "params": params}
            writer.write(json.dumps(request).encode())
            answer = json.loads(await reader.readuntil(b"\n\n"))
        finally:
            writer.close()
            await writer.wait_closed()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return dict(answer["result"])

    async def peer(self, node_id: str) -> dict[str, Any]:
        """The peer's entry in listpeers; KeyError if there is none."""
        for peer in (await self.rpc("listpeers", id=node_id))["peers"]:
            return dict(peer)
        raise KeyError(node_id)

    async def stop(self) -> None:
        """SIGTERM, which it obeys within 20 seconds; killed where it does not."""
        if self.process.returncode is None:
            self.process.terminate()
        try:
            await asyncio.wait_for(self.process.wait(), 20)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise


async def until(reached: Callable[[], Awaitable[bool]], complaint: str, within: float = 60) -> None:
    """For what the other side tells nobody: asks again until it is so."""
    try:
        async with asyncio.timeout(within):
            while not await reached():  # noqa: ASYNC110 - in another process: there is no event to wait for
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(complaint)
