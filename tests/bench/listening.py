"""What a peer costs that streams what is new: 500 of them say the same updates, each in a packet of its own."""

import asyncio
from collections.abc import Iterator

from tests.bench.gossipds import UNBOUNDED, Meter, counted, running_gossipd
from tests.bench.harness import Bench, Row
from tests.gossipd.gossipd_process import FakePeer
from tests.gossipd.messages import announcement, update

PEERS = 500
NETWORK_RATE = 300
"""Messages a minute that are new on the public network."""


async def _say(peers: list[FakePeer], message: bytes) -> None:
    """As the network does: each peer's packet for itself, at about the same time."""
    loop = asyncio.get_running_loop()
    for peer in peers:
        await loop.sock_sendall(peer.sock, peer.encrypt(message))


async def measure(bench: Bench) -> Iterator[Row]:
    """Rows of CPU an arrival, and of what a peer costs of a core at the network's rate."""
    rounds = 40 if bench.quick else 200
    async with running_gossipd(bench.directory / "listening", limits=UNBOUNDED) as gossipd:
        peers = [await gossipd.connect(tcp=True, address=f"10.{n >> 6}.{n & 63}.1:9735") for n in range(PEERS)]
        known = update()
        await peers[0].say(announcement(), known)
        await counted(gossipd, ("accepted",), 2)
        meter = await Meter.settled(gossipd)
        for number in range(rounds):
            await _say(peers, known)
            await counted(gossipd, ("redundant",), (number + 1) * PEERS)
        spent = meter.read()
    each = spent.main / rounds / PEERS
    return iter(
        [
            Row(f"an arrival, {PEERS} peers stream", each * 1e6, "µs CPU", None, ""),
            Row("a peer that streams, of a core", each * NETWORK_RATE / 60 * 100, "%", None, ""),
        ]
    )
