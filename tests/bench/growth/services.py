"""A node with more and more services, each of which takes a message of its own."""

from collections.abc import AsyncIterator

from tests.bench.crowd import Crowd
from tests.bench.growth.frame import Reading, Scope
from tests.bench.harness import cpu_of, family, resident
from tests.bench.nodes import node, settled, target_of

COUNT = 200
FIRST = 33_001
"""The message type that the first one takes."""


async def walk(scope: Scope) -> AsyncIterator[Reading]:
    """A node a size: services of its command line, whose programs are never started."""
    count, by = scope.count(COUNT), "services"
    for size in scope.sizes(1, 10, 100):
        directory = scope.directory / str(size)
        directory.mkdir()
        services = [
            option for i in range(size) for option in (f"--service=s{i}=/bin/true", f"--take=s{i}={FIRST + 2 * i}")
        ]
        async with node(directory, *services) as started:
            crowd = await Crowd.start(await target_of(started))
            await crowd.does("connect 8 8")
            await settled(started)
            before = cpu_of(started.pids())
            await crowd.does(f"connect {count} 1")
            await settled(started, count)
            yield Reading(
                "a connect beside services", by, size, (cpu_of(started.pids()) - before) / count * 1e6, "µs CPU"
            )
            before = cpu_of(started.pids())
            await crowd.does(f"flood {10 * count} 128")
            each = (cpu_of(started.pids()) - before) / (10 * count) * 1e6
            yield Reading("a message that no service takes", by, size, each, "µs CPU")
            memory = sum(resident(pid) for pid in family(started.process.pid)) / 1e6
            yield Reading("memory of all processes beside services", by, size, memory, "MB", each=False)
            await crowd.end()
