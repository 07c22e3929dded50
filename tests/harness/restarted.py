"""Restarts one after the other, and what has grown by them: processes, fds, memory."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import Any

from tests.harness import processes
from tests.harness.crowd import Crowd
from tests.harness.node import LONGEST_ANSWER, Node, RpcError
from tests.harness.waiting import until

RESTART = 120.0
"""Seconds for one, at most."""
WARM = 2
"""The first restarts, after which the measure is taken."""
ROOM = 2
"""fds that come and go with what goes on meanwhile."""


async def restart(node: Node, what: str) -> dict[str, Any]:
    """As the RPC method. Raises RpcError."""
    async with asyncio.timeout(RESTART):
        reader, writer = await asyncio.open_unix_connection(node.rpc_file, limit=LONGEST_ANSWER)
        try:
            request = {"jsonrpc": "2.0", "id": 1, "method": "restart", "params": {"what": what}}
            writer.write(json.dumps(request).encode())
            answer = json.loads(await reader.readuntil(b"\n\n"))
        finally:
            writer.close()
    if "error" in answer:
        raise RpcError(answer["error"])
    return dict(answer["result"])


def failed(done: dict[str, Any]) -> list[str]:
    """What was not restarted, of all."""
    return [f"{each['restarted']}: {each['error']}" for each in done.get("processes", []) if "error" in each]


@dataclass(frozen=True)
class Measure:
    """What a node has: its processes, and of each the fds and the memory, in MB."""

    names: tuple[str, ...]
    fds: dict[str, int]
    memory: dict[str, float]


def measure(node: Node) -> Measure:
    """At this moment."""
    pids = node.pids()
    fds = {name: processes.fd_count(pid) for name, pid in pids.items()}
    memory = {name: processes.resident(pid) / 1e6 for name, pid in pids.items()}
    return Measure(tuple(sorted(node.names())), fds, memory)


@dataclass(frozen=True)
class Grown:
    """What came of many restarts. `memory`: of each process, how much more it has than after the first ones, in MB."""

    done: int
    milliseconds: list[int]
    left_behind: dict[str, tuple[object, object]]
    """(before, now) of what has not come back to what it was."""
    memory: dict[str, float]


async def restart_often(crowd: Crowd, what: str, count: int) -> Grown:
    """So many, each when the last one's old process has ended. Raises what a peer notices, or AssertionError."""
    node, milliseconds = crowd.node, []
    before = measure(node)
    for number in range(count):
        if number == WARM:
            before = await _at_rest(node, before)
        done = await restart(node, what)
        assert done["lost"] == 0 and failed(done) == [], done
        milliseconds.append(done["milliseconds"])
        await _old_ones_end(node, before)
        crowd.check()
    await crowd.go_on()
    now = await _at_rest(node, before)
    grown = {name: now.memory[name] - before.memory.get(name, 0.0) for name in now.memory}
    return Grown(count, milliseconds, _left_behind(before, now), grown)


async def _old_ones_end(node: Node, before: Measure) -> None:
    async def ended() -> bool:
        return tuple(sorted(node.names())) == before.names

    await until(ended, f"there were {before.names}", RESTART)


async def _at_rest(node: Node, before: Measure) -> Measure:
    """When fds that come and go have gone; how it is then, in any case."""

    async def so() -> bool:
        return not _left_behind(before, measure(node))

    with contextlib.suppress(AssertionError):
        await until(so, "", 10.0)
    return measure(node)


def _left_behind(before: Measure, now: Measure) -> dict[str, tuple[object, object]]:
    more: dict[str, tuple[object, object]] = {
        f"fds of {name}": (before.fds.get(name, 0), fds)
        for name, fds in now.fds.items()
        if fds > before.fds.get(name, 0) + ROOM
    }
    return more if before.names == now.names else more | {"processes": (before.names, now.names)}
