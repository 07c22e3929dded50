"""What a connected peer that is quiet takes of gossipd's memory."""

import asyncio
import resource
from collections.abc import Iterator

from tests.bench.gossipds import running_gossipd
from tests.bench.harness import Bench, Row, resident
from wire.control.timing import Timing
from wire.peer_wire import GossipTimestampFilter
from wire.types import NETWORKS

NEWS_ONLY = GossipTimestampFilter(NETWORKS["regtest"], 0xFFFFFFFF, 0xFFFFFFFF)
FLUSH = 1.0
SPARE_FDS = 200


def _count(quick: bool) -> int:
    """As many as the target names, or as the fd limit allows: one fd each, in gossipd as here."""
    return min(500 if quick else 5_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FDS)


async def measure(bench: Bench) -> Iterator[Row]:
    """Each peer has exchanged a ping and has a filter in force, as a real one would."""
    count = _count(bench.quick)
    async with running_gossipd(bench.directory / "idle", timing=Timing(gossip_flush=FLUSH)) as gossipd:
        await (await gossipd.connect()).sync()
        before = resident(gossipd.process.pid)
        for _ in range(count):
            peer = await gossipd.connect()
            await peer.say(NEWS_ONLY)
            await peer.sync()
        await asyncio.sleep(2.5 * FLUSH)  # a turn of the flush: then the idle ones are asleep
        grown = resident(gossipd.process.pid) - before
    return iter([Row(f"an idle peer of {count:,}: memory", grown / count / 1e3, "kB", None, "", "<= 4")])
