"""A connection given away by gossipd and given back, beside more and more others that gossipd has."""

from collections.abc import AsyncIterator

from tests.bench.gossipds import Meter, running_gossipd
from tests.bench.growth.frame import Reading, Scope
from tests.bench.hand_overs import there_and_back

COUNT = 1_000


async def walk(scope: Scope) -> AsyncIterator[Reading]:
    """As `hand_overs` of `make bench` does it."""
    count = scope.count(COUNT)
    async with running_gossipd(scope.directory / "hand-overs") as gossipd:
        peer = await gossipd.connect(tcp=True)
        await peer.sync()
        await there_and_back(gossipd, peer.conn_id, 10)
        there = 1
        for size in scope.sizes(10, 100, 1_000, 5_000):
            for _ in range(size - there):
                await gossipd.connect()
            there = size
            meter = await Meter.settled(gossipd)
            await there_and_back(gossipd, peer.conn_id, count)
            yield Reading("a hand-over, gossipd", "peers", size, meter.read().main / (2 * count) * 1e6, "µs CPU")
        await peer.sync()
