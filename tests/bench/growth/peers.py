"""A whole node with more and more peers: what one more costs, what they cost when they are quiet, and a ping."""

import asyncio
from collections.abc import AsyncIterator

from tests.bench.crowd import Crowd
from tests.bench.growth.frame import Reading, Scope
from tests.bench.harness import cpu_of, resident
from tests.bench.nodes import Node, connected, node, settled, target_of

MEASURED = 200
"""Connects, and pings, of one reading."""
QUIET = 20.0
"""Seconds for which a node is left alone."""


async def _spent(started: Node, before: float, times: int) -> float:
    return (cpu_of(started.pids()) - before) / times * 1e6


async def walk(scope: Scope) -> AsyncIterator[Reading]:
    """Each reading's connects are among the peers of the next one."""
    by, count, quiet = "peers", scope.count(MEASURED), QUIET / 10 if scope.quick else QUIET
    async with node(scope.directory) as started:
        crowd = await Crowd.start(await target_of(started))
        pids = {name: pid for pid, name in reversed(started.pids().items())}
        await crowd.does("connect 4 4")  # what is done for the first time is no part of any
        await crowd.does("ping 4")
        await settled(started)
        empty = {name: resident(pid) for name, pid in pids.items()}
        there = 4
        for size in scope.sizes(100, 1_000, 10_000):
            more = size - there - count
            if more > 0:
                await crowd.does(f"connect {more} 8")
                there += more
            for at_once in (8, 1):
                await connected(started, there)
                await settled(started, there)
                before = cpu_of(started.pids())
                half = max(1, min(count, size - there if at_once == 1 else (size - there) // 2))
                await crowd.does(f"connect {half} {at_once}")
                there += half
                await settled(started, there)  # to ask the node would cost it more than some connects
                yield Reading(
                    f"a connect, {at_once} at a time", by, size, await _spent(started, before, half), "µs CPU"
                )
            await settled(started, there)
            before = cpu_of(started.pids())
            await crowd.does(f"ping {count}")
            yield Reading("a ping and its pong", by, size, await _spent(started, before, count), "µs CPU")
            await settled(started, there)
            before = cpu_of(started.pids())
            await asyncio.sleep(quiet)
            idle = 100 * (cpu_of(started.pids()) - before) / quiet
            yield Reading("peers that are quiet", by, size, idle, "% of a core", each=False)
            for name in ("gossipd", "lightningd_py", "connectd"):
                grown = (resident(pids[name]) - empty[name]) / 1e6
                yield Reading(f"memory of {name}", by, size, grown, "MB", each=False)
        await crowd.end()
