"""A whole node as processes: started, asked over JSON-RPC, ended."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.bench.harness import ROOT, cpu_of, family, module_of

PATIENCE = 30.0
LONGEST_ANSWER = 1 << 28
SETTLING = 60.0
LOOK, MOST_IDLE = 0.3, 0.002
"""Seconds between looks, and of CPU in that time of all daemons of a node that has nothing to do."""
FOR_A_PEER = 2e-6
"""Seconds of CPU more for each peer: some are pinged in that time."""


class Node:
    """Chain `none` on regtest, a port of the system's choice, log level info."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self.process = process
        self.socket = directory / "regtest/lightning-rpc"

    def pids(self) -> dict[int, str]:
        """Every process of the node with the module that it runs."""
        return {pid: module_of(pid) for pid in family(self.process.pid)}

    async def raw_rpc(self, method: str) -> bytes:
        """The whole answer as it comes."""
        reader, writer = await asyncio.open_unix_connection(self.socket, limit=LONGEST_ANSWER)
        try:
            writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {}}).encode())
            return await reader.readuntil(b"\n\n")
        finally:
            writer.close()
            await writer.wait_closed()

    async def rpc(self, method: str) -> dict[str, Any]:
        """Its result. Raises KeyError if there is none."""
        return dict(json.loads(await self.raw_rpc(method))["result"])


def _log_of(directory: Path) -> str:
    return (directory / "log").read_text()


@contextlib.asynccontextmanager
async def node(directory: Path, *besides: str) -> AsyncIterator[Node]:
    """A node in this directory, which may hold a gossip_store already. `besides`: options."""
    with (directory / "log").open("wb") as log:
        options = ["--network=regtest", f"--lightning-dir={directory}", "--bind-addr=127.0.0.1:0"]
        options += ["--max-inbound=1000000", "--max-read-rate=0", "--gossip-peer-rate=0", "--gossip-total-rate=0"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "lightningd_py", *options, *besides), cwd=ROOT, stdout=log, stderr=log
        )
    started = Node(process, directory)
    try:
        async with asyncio.timeout(PATIENCE):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    await started.rpc("getinfo")
                    break
                await asyncio.sleep(0.05)
        if process.returncode is not None:
            raise RuntimeError(f"the node has not started: {_log_of(directory)}")
        yield started
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), PATIENCE)


async def settled(started: Node, peers: int = 0) -> None:
    """Wait until the node has nothing left to do: that is no part of what is measured next."""
    before = 0.0
    async with asyncio.timeout(SETTLING):
        while (now := cpu_of(started.pids())) - before > MOST_IDLE + FOR_A_PEER * peers:
            before = now
            await asyncio.sleep(LOOK)


async def connected(started: Node, count: int) -> None:
    """Wait until gossipd owns so many."""
    async with asyncio.timeout(SETTLING):
        while (await started.rpc("gossipstatus"))["peers"] < count:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)


async def target_of(started: Node) -> str:
    """Where it listens, with its id."""
    info = await started.rpc("getinfo")
    return f"{info['id']}@127.0.0.1:{info['binding'][0]['port']}"
