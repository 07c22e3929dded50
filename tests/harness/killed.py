"""Kills in the midst of restarts: the old or the new process, at random moments, and what a node must be like then."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness.crowd import OPTIONS
from tests.harness.crowd_members import Pace, Pinging
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.restarted import restart
from tests.harness.siege.truth import lacks, tell
from tests.harness.waiting import until
from wire.frames import FrameError

KILLED = ("gossipd", "connectd", "listingd")
LATEST = 1.0
"""Seconds after the second process has come, at most, until the kill."""
PEERS = 5
ROUNDS = 3
"""On one node: at the fifth death within a minute it would end, as it should."""
LOST = (PeerClosed, OSError, TimeoutError)
"""How a peer notices that its connection has ended, or does not come about."""


@dataclass
class Kills:
    """What was done, and what was wrong afterwards."""

    rounds: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    went_on: int = 0
    """Restarts that were done all the same."""
    lost: int = 0
    """Connections, with the process that had them."""
    harm: list[str] = field(default_factory=list)


async def kill_in_a_restart(node: Node, what: str, victim: str, chance: random.Random, kills: Kills) -> None:
    """One round: peers that ping, a restart, a kill in its midst. Then the node serves, and no peer has met bytes of
    two owners, which would not decrypt.
    """
    peers = [Pinging(await ScriptedPeer.connect(node.target)) for _ in range(PEERS)]
    pace = Pace()
    pace.all_at_once()
    going = [asyncio.create_task(peer.run(pace)) for peer in peers]
    try:
        old = await _running(node, what)
        restarting = asyncio.create_task(restart(node, what))
        if await _killed(node, what, victim, old, restarting, chance):
            kills.killed[f"{victim} {what}"] += 1
        answer = (await asyncio.gather(restarting, return_exceptions=True))[0]
        if not isinstance(answer, dict | RpcError):
            kills.harm.append(f"{what}, {victim} killed: the answer is {answer!r}")
        kills.went_on += isinstance(answer, dict)
        await serves(node)
        await _go_on_or_have_ended(peers, going)
    finally:
        for task in going:
            task.cancel()
        ends = await asyncio.gather(*going, return_exceptions=True)
        for peer in peers:
            await peer.peer.close()
    kills.rounds += 1
    kills.lost += sum(isinstance(end, LOST) for end in ends)
    kills.harm += [f"{what}, {victim} killed: {end!r}" for end in ends if isinstance(end, FrameError | AssertionError)]


async def _running(node: Node, what: str) -> int:
    """Its pid, as soon as it runs."""

    async def there() -> bool:
        return what in node.pids()

    await until(there, f"no {what} runs")
    return node.pids()[what]


async def _go_on_or_have_ended(peers: Sequence[Pinging], going: Sequence["asyncio.Task[None]"]) -> None:
    """No connection is open and read by no process."""
    before = [peer.rounds for peer in peers]

    async def so() -> bool:
        each = zip(peers, before, going, strict=True)
        return all(task.done() or peer.rounds > then + 1 for peer, then, task in each)

    await until(so, "a connection is open, and no process answers on it")


async def _killed(
    node: Node, what: str, victim: str, old: int, restarting: "asyncio.Task[object]", chance: random.Random
) -> bool:
    """At a random moment after the second one has come. False if the restart was done before that."""
    second: list[int] = []

    async def there() -> bool:
        second[:] = [pid for pid in node.pids_of(what) if pid != old]
        return bool(second) or restarting.done()

    await until(there, f"no second {what} is started")
    await asyncio.wait([restarting], timeout=chance.uniform(0, LATEST))  # the moment is what is tried out
    if not second:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(old if victim == "old" else second[0], signal.SIGKILL)
        return True
    return False


async def kill_often(nodes: Nodes, truth: Sequence[bytes], count: int, chance: random.Random, seconds: float) -> Kills:
    """So many rounds, or as many as fit into the time. The node is started again every few rounds, and always has all
    of what is true.
    """
    kills, end = Kills(), time.monotonic() + seconds
    node = await asyncio.to_thread(nodes.start, *OPTIONS, name="l1")
    await tell(node, truth)
    while kills.rounds < count and time.monotonic() < end:
        for _ in range(ROUNDS):
            await kill_in_a_restart(node, chance.choice(KILLED), chance.choice(["old", "new"]), chance, kills)
        kills.harm += [f"not on the map: {text}" for text in await lacks(node, truth)] + node.broken()
        if status := await asyncio.to_thread(node.stop):
            kills.harm.append(f"exit status {status}")
        nodes.expect_end(node)
        node = await asyncio.to_thread(nodes.start, *OPTIONS, name="l1")
    kills.harm += [f"not on the map after a start: {text}" for text in await lacks(node, truth)]
    return kills


async def serves(node: Node) -> None:
    """Wait until a new peer is served, all daemons are there once, and nothing is being restarted."""

    async def so() -> bool:
        if any(len(node.pids_of(name)) != 1 for name in ("connectd", "gossipd", "hsmd", "listingd")):
            return False
        try:
            async with await ScriptedPeer.connect(node.target, timeout=10.0) as late:
                await late.sync(10.0)
        except LOST:
            return False
        return True

    await until(so, "the node does not serve again", 90.0)
