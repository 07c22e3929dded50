"""A map taken in by a fresh gossipd over two connections, and the same once more: how dear is it, how dear if known?"""

import asyncio
from collections.abc import Iterator

from tests.bench.floor import Floor, floor_of
from tests.bench.gossipds import Meter, counted, running_gossipd, send_all
from tests.bench.harness import Bench, Row
from tests.bench.maps import BenchMap
from tests.gossipd.gossipd_process import FakePeer, GossipdProcess

PEERS = 2


async def send(gossipd: GossipdProcess, peers: list[FakePeer], made: BenchMap, counter: str) -> Meter:
    """Everything, each peer its share; returns when it has been counted."""
    shares = [made.share(number, PEERS) for number in range(PEERS)]
    streams = [peer.encrypt(*share) for peer, share in zip(peers, shares, strict=True)]
    before = (await gossipd.status())[counter]
    meter = await Meter.settled(gossipd)
    sending = [asyncio.create_task(send_all(*pair)) for pair in zip(peers, streams, strict=True)]
    wanted = len(made.messages)
    found = await counted(gossipd, (counter,), before + wanted) - before
    for task in sending:
        task.cancel()
    if found != wanted:
        raise RuntimeError(f"{wanted - found} messages are not {counter}: {await gossipd.status()}")
    return meter


async def measure(bench: Bench) -> Iterator[Row]:
    """Rows of the first time and of the second."""
    messages = len(bench.map.messages)
    before = floor_of(bench.map)
    async with running_gossipd(bench.directory / "ingest") as gossipd:
        peers = [await gossipd.connect(tcp=True) for _ in range(PEERS)]
        first = (await send(gossipd, peers, bench.map, "accepted")).read()
        again = (await send(gossipd, peers, bench.map, "redundant")).read()
    after = floor_of(bench.map)
    floor = Floor(*((one + other) / 2 for one, other in zip(before, after, strict=True)))
    each = 1e6 / messages
    bare = floor.cpu_a_message * 1e6
    return iter(
        [
            Row("ingest: wall", first.wall, "s", floor.wall, "signatures in two processes", "<= 1.5 x"),
            Row("ingest: messages stored", messages / first.wall, "/s", messages / floor.wall, "floor", "none dropped"),
            Row("ingest: gossipd's loop", first.main * each, "µs CPU/message"),
            Row("ingest: signature workers", first.workers * each, "µs CPU/message", bare, "floor"),
            Row(
                "ingest: gossipd in all",
                (first.main + first.workers) * each,
                "µs CPU/message",
                bare,
                "floor",
                f"<= floor + 15 (here + {(first.main + first.workers) * each - bare:.1f})",
            ),
            Row("duplicates", (again.main + again.workers) * each, "µs CPU/message", None, "", "<= 6"),
        ]
    )
