"""A node with honest peers beside attacks: how they fare. For tests/system/test_hostile.py, and for `make torture`.

Attacks, honest peers and a plain echo are processes of their own. What the machine alone makes late, the echo shows.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.node import Node
from tests.harness.siege.truth import lacks, write_truth
from tests.harness.waiting import until

ROOT = Path(__file__).parents[3]
PATIENCE = 30.0
LONGEST_LINE = 1 << 24
ENVIRONMENT = os.environ | {"PYTHONFAULTHANDLER": "1"}
LATEST = 1.0
"""Seconds in which an honest peer must have its pong, whatever else goes on; beside what the machine makes late."""


async def _end(process: asyncio.subprocess.Process, module: str) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await process.communicate(b"")  # with None it would leave standard input open
    except TimeoutError:
        process.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER shows where it is
        await process.wait()
        raise AssertionError(f"{module} does not end") from None


class Other:
    """A process of the siege that is told things by lines, and answers by lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, module: str, *arguments: str) -> "AsyncIterator[Other]":
        """Until the end of the block; its standard input ends then, and it is given a while to end by itself."""
        argv = [sys.executable, "-m", f"tests.harness.siege.{module}", *arguments]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, cwd=ROOT, limit=LONGEST_LINE, env=ENVIRONMENT
        )
        try:
            yield cls(process)
        finally:
            await _end(process, module)

    async def answer(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line, "it has ended: its error is on standard error"
        return line.decode()

    async def say(self) -> None:
        """A line, which means: go on."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()


@dataclass
class Outcome:
    """How honest peers fared. Seconds."""

    pongs: int
    median: float
    latest: float
    arrival: float
    echo: float
    lost: list[str]
    warned: list[str]
    charged: list[dict[str, Any]]
    """What gossipstatus tells of those that have points."""
    healed: float
    """Until all that is true was on the map, after the end of the attack."""
    lacks: list[str]
    """What of the truth is not on the map at the end."""
    attacks: dict[str, dict[str, int]]

    def harm(self) -> list[str]:
        """What must not be, a line each."""
        harm = [f"lost: {text}" for text in self.lost] + [f"warned: {text}" for text in self.warned]
        harm += [f"charged: {peer}" for peer in self.charged] + [f"not on the map: {text}" for text in self.lacks]
        if self.latest > LATEST + self.echo:
            harm.append(f"a pong after {self.latest:.2f} s, while the machine alone was late by {self.echo:.2f} s")
        return harm + [f"{name} did nothing" for name, figures in self.attacks.items() if not figures]


async def besiege(
    node: Node,
    truth: list[bytes],
    names: Sequence[str],
    seconds: float,
    web: str = "",
    *,
    again: bool = False,
    meanwhile: asyncio.Task[None] | None = None,
) -> Outcome:
    """The attacks begin, then the honest peers come; both go on for so long, and the attacks end first.

    `again`: honest peers that are lost come again. `meanwhile` is something else that goes on, and ends with them.
    """
    file = str(write_truth(truth, node.lightning_dir / "truth"))
    async with contextlib.AsyncExitStack() as stack:
        attack = await stack.enter_async_context(Other.running("attack", node.target, web, file, ",".join(names)))
        echo = await stack.enter_async_context(Other.running("echo"))
        await attack.answer()
        await attack.say()
        arguments = (node.target, file, (await echo.answer()).strip(), str(seconds), *(["again"] if again else []))
        honest = await stack.enter_async_context(Other.running("honest", *arguments))
        before = json.loads(await honest.answer())
        await asyncio.sleep(seconds)
        if meanwhile is not None:
            meanwhile.cancel()
            await asyncio.wait([meanwhile])
            if not meanwhile.cancelled():
                meanwhile.result()
        await attack.say()
        done = json.loads(await attack.answer())
        await honest.say()
        report = json.loads(await honest.answer())
        ended = time.monotonic()
        missing = await _until_nothing_lacks(node, truth)
        healed = time.monotonic() - ended
        status = await node.rpc("gossipstatus")
        peers = set(report["peers"])
        charged = [peer for peer in status["peer_gossip"] if peer["id"] in peers and (peer["score"] or peer["ignored"])]
        await honest.say()
        after = json.loads(await honest.answer())
    lost, warned = ([text for each in (before, report, after) for text in each[key]] for key in ("lost", "warned"))
    figures = {key: report[key] for key in ("pongs", "median", "latest", "arrival", "echo")}
    return Outcome(**figures, lost=lost, warned=warned, charged=charged, healed=healed, lacks=missing, attacks=done)


async def _until_nothing_lacks(node: Node, truth: list[bytes]) -> list[str]:
    missing: list[str] = []

    async def whole() -> bool:
        missing[:] = await lacks(node, truth)
        return not missing

    with contextlib.suppress(AssertionError):
        await until(whole, "the map never becomes whole", PATIENCE)
    return missing
