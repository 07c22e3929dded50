"""Kills at random: of daemons, helpers and workers under load, then of the master and of hsmd, which end the node."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter

from tests.harness import processes
from tests.harness.node import Node
from tests.harness.siege.siege import besiege
from tests.harness.siege.truth import lacks
from tests.torture.torture import Torture, small_truth, told

ROUNDS, SECONDS = 10, 10
PAUSES = (1.0, 3.0)
"""Seconds between two kills."""
DAEMONS = ("connectd", "gossipd", "websocketd", "log_writer")
MOST_DEATHS = 3
"""Of daemons in a round: at the fifth within a minute the node ends, as it should. Workers are not counted, nor is
their nursery, without which those that are there go on.
"""
LOAD = ("ranges_with_checksums", "connect_and_leave", "self_signed_announcements")
ENDS = 6


async def run(torture: Torture) -> None:
    """Both."""
    await _daemons(torture)
    await _master(torture)


async def _daemons(torture: Torture) -> None:
    truth = small_truth()
    harm: list[str] = []
    killed: Counter[str] = Counter()
    restarts = pongs = 0
    healed = 0.0
    with torture.nodes("replaced") as nodes:
        log = nodes.directory("l1") / "log"
        for _ in range(torture.count(ROUNDS)):
            options = ("--bind-addr=ws:127.0.0.1:0", f"--log-file={log}", "--log-file=-")
            node = await asyncio.to_thread(nodes.start, *options, name="l1")
            killing = asyncio.create_task(_kill_at_random(node, torture.chance, killed))
            try:
                outcome = await besiege(node, truth, LOAD, SECONDS, again=True, meanwhile=killing)
            finally:
                killing.cancel()
                await asyncio.gather(killing, return_exceptions=True)
            restarts += sum("was restarted" in line for line in node.lines)
            pongs, healed = pongs + outcome.pongs, max(healed, outcome.healed)
            harm += [f"not on the map: {text}" for text in outcome.lacks] + node.broken()
            if status := await asyncio.to_thread(node.stop):
                harm.append(f"exit status {status}")
            nodes.expect_end(node)
    figures = f"{told(killed)} killed, {restarts} restarts: {pongs:,} pongs, map whole after {healed:.1f} s at most"
    torture.tell("kills of what is replaced", figures, harm)


def _victims(node: Node, deaths: int) -> dict[str, int]:
    pids = node.pids()
    victims = {name: pid for name, pid in pids.items() if name in DAEMONS and deaths < MOST_DEATHS}
    for nursery in processes.children(pids.get("gossipd", 0)):
        victims["nursery"] = nursery
        if workers := processes.children(nursery):
            victims["worker"] = workers[0]
    return victims


async def _kill_at_random(node: Node, chance: random.Random, killed: Counter[str]) -> None:
    """Until it is cancelled."""
    deaths = 0
    while True:
        await asyncio.sleep(chance.uniform(*PAUSES))
        victims = _victims(node, deaths)
        if not victims:
            continue
        name = chance.choice(list(victims))
        deaths += name in DAEMONS
        with contextlib.suppress(ProcessLookupError):
            os.kill(victims[name], signal.SIGKILL)
            killed[name] += 1


async def _master(torture: Torture) -> None:
    """The node ends, leaves no process, and is started again with all that it knew."""
    truth = small_truth()
    harm: list[str] = []
    killed: Counter[str] = Counter()
    slowest = 0.0
    with torture.nodes("ended") as nodes:
        for _ in range(torture.count(ENDS)):
            began = time.monotonic()
            node = await asyncio.to_thread(nodes.start, name="l1")
            slowest = max(slowest, time.monotonic() - began)
            outcome = await besiege(node, truth, (), 1 + torture.chance.random())
            harm += [f"not on the map: {text}" for text in outcome.lacks]
            name = torture.chance.choice(["lightningd", "hsmd"])
            os.kill(node.pids()[name], signal.SIGKILL)
            killed[name] += 1
            await asyncio.to_thread(node.process.wait, 30)
            if not await asyncio.to_thread(node.all_gone):
                harm.append(f"{name} was killed, and these live on: {node.survivors()}")
            nodes.expect_end(node)
        node = await asyncio.to_thread(nodes.start, name="l1")
        harm += [f"not on the map after a start without peers: {text}" for text in await lacks(node, truth)]
    figures = f"{told(killed)}: each time all processes ended, slowest start {slowest:.1f} s, the map was kept"
    torture.tell("kills that end the node", figures, harm)
