"""Programs of a service that do what they must not: each kind that the tests know, at random, beside honest peers."""

import asyncio
import contextlib
import random
from collections import Counter

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.moves import opening
from tests.harness.node import Node
from tests.harness.puppeteer import Puppeteer
from tests.harness.rogues import KINDS
from tests.harness.siege.siege import besiege
from tests.harness.siege.stranger import LOST
from tests.torture.torture import Torture, figures_of, small_truth

SECONDS = 60
AT_A_TIME = 4


async def run(torture: Torture) -> None:
    """One line."""
    done: Counter[str] = Counter()
    with torture.nodes("rogues") as nodes:
        async with Puppeteer(torture.directory / "strings") as puppets:
            node = nodes.start(Puppeteer.service("puppet", puppets.path), "--take=puppet=open_channel")
            before = node.pids()
            going = asyncio.create_task(_misbehave(node, puppets, torture.chance, done))
            try:
                outcome = await besiege(node, small_truth(), (), torture.count(SECONDS), meanwhile=going)
            finally:
                going.cancel()
                await asyncio.gather(going, return_exceptions=True)
            after = node.pids()
            harm = outcome.harm() + node.broken()
            harm += [f"{name} was restarted" for name in ("gossipd", "connectd") if after.get(name) != before[name]]
        programs = f"{done.total()} programs of {len(done)} kinds"
        torture.tell("rogue programs", f"{programs}: {figures_of(outcome)}", harm)


async def _misbehave(node: Node, puppets: Puppeteer, chance: random.Random, done: Counter[str]) -> None:
    """Until it is cancelled."""

    async def one() -> None:
        while True:
            kind = chance.choice(list(KINDS))
            with contextlib.suppress(*LOST, EOFError):
                async with await ScriptedPeer.connect(node.target) as peer:
                    await peer.say(opening())
                    puppet = await puppets.next()
                    await puppet.tell("misbehave", kind=kind)
                    done[kind] += 1
                    with contextlib.suppress(*LOST):
                        await peer.hangs_up(timeout=1)
                    await puppet.close()

    await asyncio.gather(*(one() for _ in range(AT_A_TIME)))
