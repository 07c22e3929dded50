"""A connection released by gossipd and given back to it, again and again: what a hand-over costs each side."""

import os
import time
from collections.abc import Iterator

from tests.bench.floor import pass_bare
from tests.bench.gossipds import Meter, running_gossipd
from tests.bench.harness import Bench, Row, cpu_seconds
from tests.gossipd.gossipd_process import GossipdProcess, peer_info
from wire.control.control_wire import HandlePeer, PeerTaken, ReleasePeer, ReleasePeerReply


async def there_and_back(gossipd: GossipdProcess, conn_id: int, count: int) -> None:
    """So often: release_peer, its reply, handle_peer, peer_taken; two hand-overs of peer fd and gossip fd each time."""
    info = peer_info(conn_id)
    for _ in range(count):
        gossipd.master.send(ReleasePeer(info.node_id, info.conn_id))
        released = await gossipd.hear(ReleasePeerReply)
        gossipd.master.send(HandlePeer(info, released.state, [], None, released.peer_fd, released.gossip_fd))
        await gossipd.hear(PeerTaken)


async def measure(bench: Bench) -> Iterator[Row]:
    """One at a time."""
    count = 1_000 if bench.quick else 5_000
    async with running_gossipd(bench.directory / "hand-overs") as gossipd:
        peer = await gossipd.connect(tcp=True)
        await peer.sync()
        meter = await Meter.settled(gossipd)
        begin = cpu_seconds(os.getpid())
        wall = time.monotonic()
        await there_and_back(gossipd, peer.conn_id, count)
        wall = time.monotonic() - wall
        theirs, ours = meter.read().main, cpu_seconds(os.getpid()) - begin
        await peer.sync()
    bare = pass_bare() * 1e6
    each = 1e6 / (2 * count)
    return iter(
        [
            Row("hand-overs, there and back", 2 * count / wall, "/s"),
            Row("hand-over: gossipd", theirs * each, "µs CPU", bare, "an fd passed bare", "<= 45"),
            Row("hand-over: both sides", (theirs + ours) * each, "µs CPU", bare, "an fd passed bare"),
        ]
    )
