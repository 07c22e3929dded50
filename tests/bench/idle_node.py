"""A node whose 1,000 peers are quiet: what a wake-up with nothing to do costs, and pings."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator

from tests.bench.crowd import Crowd
from tests.bench.harness import Bench, Row, cpu_seconds
from tests.bench.nodes import connected, node, settled, target_of

PEERS, SECONDS = 1_000, 120.0
AT_ONCE = 8


async def measure(bench: Bench) -> Iterator[Row]:
    """All processes of the node over two minutes, in which each peer is pinged some times, and answers."""
    peers, seconds = (200, 10.0) if bench.quick else (PEERS, SECONDS)
    async with node(bench.directory) as started:
        crowd = await Crowd.start(await target_of(started))
        await crowd.does(f"connect {peers} {AT_ONCE}")
        await connected(started, peers)
        await settled(started, peers)
        pids = started.pids()
        begin = {pid: cpu_seconds(pid) for pid in pids}
        await asyncio.sleep(seconds)
        spent: dict[str, float] = defaultdict(float)
        for pid, name in pids.items():
            spent[name] += 100 * (cpu_seconds(pid) - begin[pid]) / seconds
        await crowd.end()
    unit = "% of a core"
    rows = [Row(f"{peers:,} quiet peers: all processes", sum(spent.values()), unit, None, "", "< 1")]
    return iter(rows + [Row(f"quiet peers: {name}", each, unit) for name, each in spent.items() if each > 0.01])
