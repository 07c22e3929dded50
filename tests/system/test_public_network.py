"""The topology of the public network, where its file is at hand: signed with made-up keys by the generator, taken in by
a fresh node over two connections and served on to a third; not a message is missing anywhere.

It is a cut of 5,000 channels; with LIGHTNINGD_PY_WHOLE_NETWORK=1 it is everything, which takes minutes.
"""

import os
import shutil
import time
from pathlib import Path

import pytest

from gossipd.gossmap import Gossmap
from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SyntheticMap, read_topology
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until

TOPOLOGY = Path(__file__).parents[3] / "shared" / "data" / "mainnet-topology-2026-02-03.csv.xz"
WHOLE = bool(os.environ.get("LIGHTNINGD_PY_WHOLE_NETWORK"))
CUT = None if WHOLE else 5_000
UNBOUNDED = ("--max-read-rate=0", "--gossip-peer-rate=0", "--gossip-total-rate=0")


@pytest.mark.timeout(600)
@pytest.mark.skipif(not TOPOLOGY.exists(), reason=f"{TOPOLOGY.name} is not at hand")
async def test_everything_arrives(nodes: Nodes) -> None:
    edges = read_topology(TOPOLOGY)[:CUT]
    small_map = SyntheticMap(edges, seed=1, now=int(time.time()))
    first = nodes.directory("l1") / "regtest" / "gossip_store"
    store = GossipStore.open(first)
    small_map.write_store(store, processes=2)
    store.close()
    shutil.copy(first, nodes.directory("l2") / "regtest" / "gossip_store")
    l1, l2, l3, l4 = [nodes.start(*UNBOUNDED, name=name) for name in ("l1", "l2", "l3", "l4")]
    messages = 3 * len(edges) + len(small_map.node_numbers())

    async def knows_everything(node: Node) -> bool:
        return bool((await node.rpc("gossipstatus"))["accepted"] == messages)

    for server in (l1, l2):
        await l3.rpc("connect", id=server.target)
    await until(lambda: knows_everything(l3), "something is missing", within=300)
    await l4.rpc("connect", id=l3.target)
    await until(lambda: knows_everything(l4), "something is missing at the third", within=300)
    assert len(gossip_of(l1)) == messages
    assert gossip_of(l1) == gossip_of(l3) == gossip_of(l4)


def gossip_of(node: Node) -> list[bytes]:
    """All announcements and updates of a node's map, in order of their bytes."""
    with Gossmap(node.directory / "gossip_store") as gossmap:
        channels = list(gossmap.channels())
        updates = [channel.direction(number) for channel in channels for number in (0, 1)]
        announcements = [channel.announcement for channel in channels]
        nodes = [announced.announcement for announced in gossmap.nodes() if announced.announcement]
        return sorted([*announcements, *(update.raw for update in updates if update), *nodes])
