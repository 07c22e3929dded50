"""Gossip that comes evenly, at more and more messages a second: what a second of it costs of a core."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

from tests.bench.feed import in_batches, taken
from tests.bench.gossipds import Meter, running_gossipd
from tests.bench.growth.frame import Reading, Scope
from tests.bench.harness import Child
from tests.gossipd.gossipd_process import FakePeer
from tests.gossipd.messages import announcement, update

BY = "messages a second"
PEERS, SECONDS = 10, 4.0


async def walk(scope: Scope) -> AsyncIterator[Reading]:
    """Known updates, as most of what peers stream are; without a feed's subscriber and with one."""
    for name, is_taken in (("no one follows", False), ("all said on the feed", True)):
        for rate in scope.sizes(100, 1_000, 10_000):
            spent = await _share(scope.directory / f"{rate}-{is_taken}", rate, SECONDS, is_taken=is_taken)
            yield Reading(f"gossip streamed, {name}", BY, rate, 100 * spent, "% of a core", each=False)


async def _share(directory: Path, rate: int, seconds: float, *, is_taken: bool) -> float:
    """CPU of gossipd for each second."""
    async with running_gossipd(directory, feed=f"ipc://{directory}/socket") as gossipd:
        count = int(rate * seconds)
        subscriber = Child(in_batches, directory / "socket", count) if is_taken else None
        if subscriber is not None:
            await taken(gossipd)
        peers = [await gossipd.connect(tcp=True, address=f"10.{n}.1.1:9735") for n in range(PEERS)]
        await peers[0].say(announcement(), update())
        await gossipd.settled()
        meter = Meter(gossipd)
        await _say(peers, rate, count)
        for peer in peers:
            await peer.sync()
        spent = meter.read().main / seconds
        if subscriber is not None:
            subscriber.result()
        return spent


async def _say(peers: list[FakePeer], rate: int, count: int) -> None:
    """One message after the other, each peer in turn, each in a packet of its own."""
    loop = asyncio.get_running_loop()
    began, known = loop.time(), update()
    for number, peer in zip(range(count), itertools.cycle(peers), strict=False):
        ahead = began + number / rate - loop.time()
        if ahead > 0:
            await asyncio.sleep(ahead)
        await loop.sock_sendall(peer.sock, peer.encrypt(known))
