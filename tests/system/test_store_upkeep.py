"""The store of a whole node, as its user looks after it."""

import time

from gossipd.gossmap import Gossmap
from gossipd.map.loading import load
from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness.node import Nodes
from tests.harness.small_map import CHANNELS, write_small_map
from wire.peer_wire import GossipTimestampFilter
from wire.types import NETWORKS


async def test_compactgossipstore(nodes: Nodes, small_map: SyntheticMap) -> None:
    """While a peer listens, and a reader follows: both have the map before and after it, and the file is smaller."""
    path = write_small_map(small_map, nodes.directory() / "regtest" / "gossip_store")
    store, _ = load(path)
    for _ in range(10):
        store.mark_deleted(store.append(b"\x01\x02" + bytes(60_000), int(time.time())))
    store.close()
    node = nodes.start("--gossip-store-compact-size=0", "--gossip-store-compact-ratio=1000000")
    before = await node.rpc("gossipstatus")
    assert (before["store_dead_bytes"] > 600_000, before["compactions"]) == (True, 0)
    wanted = sorted(small_map.messages())
    async with await ScriptedPeer.connect(node.target) as peer:
        with Gossmap(path) as follower:
            reply = await node.rpc("compactgossipstore")
            assert follower.refresh()
            assert len(list(follower.channels())) == CHANNELS
        after = await node.rpc("gossipstatus")
        assert reply == {"store_bytes": after["store_bytes"]}
        assert (after["store_dead_bytes"], after["compactions"]) == (0, 1)
        assert after["store_bytes"] == after["store_live_bytes"] == path.stat().st_size < 100_000
        await peer.say(GossipTimestampFilter(NETWORKS["regtest"], 0, 0xFFFFFFFF))
        heard: list[bytes] = []
        while len(heard) < len(wanted):
            raw = await peer.hear_raw()
            heard += [raw] if raw[0] == 1 and raw[1] < 3 else []
        assert sorted(heard) == wanted
    done = await node.cli("compactgossipstore")
    assert (done.returncode, str(reply["store_bytes"]) in done.stdout) == (0, True)


async def test_resync(nodes: Nodes) -> None:
    node = nodes.start()
    async with await ScriptedPeer.connect(node.target) as peer:
        assert (await peer.hear(GossipTimestampFilter)).first_timestamp == 0
        done = await node.cli("resync")
        assert done.returncode == 0
        assert (await peer.hear(GossipTimestampFilter)).first_timestamp == 0
        assert (await node.rpc("gossipstatus"))["percent"] == 100
