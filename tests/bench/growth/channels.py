"""A map with more and more channels, up to four times the public one's: what each thing that is done with it costs."""

import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench import feed, opening
from tests.bench.gossipds import running_gossipd
from tests.bench.growth.frame import Reading, Scope
from tests.bench.harness import cpu_of
from tests.bench.ingest import PEERS, send
from tests.bench.listing import worst_wait
from tests.bench.maps import BenchMap
from tests.bench.nodes import node, settled
from tests.bench.serve import serve_one

BY = "channels"
NODES_TO_CHANNELS = 3
"""The public network has a node for each three channels."""


async def walk(scope: Scope) -> AsyncIterator[Reading]:
    """Maps are made once and kept for some hours, as `make bench` does; the largest takes minutes to sign."""
    for size in scope.sizes(1_000, 10_000, 50_000, 200_000):
        made = BenchMap.of_size(size, size // NODES_TO_CHANNELS)
        directory = scope.directory / str(size)
        directory.mkdir()
        async for reading in _of_gossipd(directory, made, size):
            yield reading
        async for reading in _of_node(directory / "node", made, size):
            yield reading


async def _of_gossipd(directory: Path, made: BenchMap, size: int) -> AsyncIterator[Reading]:
    each = 1e6 / len(made.messages)
    async with running_gossipd(directory / "ingest") as gossipd:
        peers = [await gossipd.connect(tcp=True) for _ in range(PEERS)]
        spent = (await send(gossipd, peers, made, "accepted")).read()
        yield Reading("a message taken in: gossipd's loop", BY, size, spent.main * each, "µs CPU")
        yield Reading("a message taken in: signature workers", BY, size, spent.workers * each, "µs CPU")
        yield Reading("a message taken in: wall", BY, size, spent.wall * each, "µs")
        again = (await send(gossipd, peers, made, "redundant")).read()
        yield Reading("a message that is known", BY, size, again.main * each, "µs CPU")
    taken, _ = await feed.ingest(directory / "feed", made, feed=True, take=feed.in_batches)
    yield Reading("a message taken in, and all said on the feed", BY, size, taken.main * each, "µs CPU")
    async with running_gossipd(directory / "serve", made.path) as gossipd:
        cpu = min([(await serve_one(gossipd, made))[0] for _ in range(3)])
        yield Reading("a message served", BY, size, cpu * each, "µs CPU")
    for row, script in (("a store opened", opening.OURS), ("a store opened after a clean stop", opening.RESUMED)):
        cost, memory = opening.cost_of(sys.executable, script, made.path)
        yield Reading(row, BY, size, cost, "ms CPU", each=False)
        yield Reading(f"{row}: memory", BY, size, memory, "MB", each=False)


async def _of_node(directory: Path, made: BenchMap, size: int) -> AsyncIterator[Reading]:
    """Listings, which are another process's."""
    (directory / "regtest").mkdir(parents=True)
    shutil.copy(made.path, directory / "regtest/gossip_store")
    async with node(directory) as started:
        await started.raw_rpc("listchannels")  # indexes the store besides
        await settled(started)
        before = cpu_of(started.pids())
        await started.raw_rpc("listchannels")
        cpu = (cpu_of(started.pids()) - before) * 1e3
        yield Reading("listchannels, all processes", BY, size, cpu, "ms CPU", each=False)
        yield Reading("listchannels: others wait at worst", BY, size, await worst_wait(started) * 1e3, "ms", each=False)
