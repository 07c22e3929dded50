"""Gossip v2 with real processes: said by a scripted peer, listed, in the feed, recorded, kept over restarts; never
passed on."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_gossip_v2 import SyntheticGossip2
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges, scid_of
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.observatories import Recording, messages_of
from tests.harness.observatories import until as recorded
from tests.harness.waiting import until
from tests.wire.gossip_v2.test_messages import instead
from wire.bus.feed import topics_of
from wire.gossip_v2.messages import NodeAnnouncement2
from wire.peer_wire import BoltMessage, GossipTimestampFilter, WarningMessage
from wire.scid import scid_to_text
from wire.secp256k1 import public_key
from wire.types import NETWORKS

MADE = SyntheticMap(random_edges(5, 30, 10), 5, 1_700_000_000)
GOSSIP = SyntheticGossip2(MADE, 800_000)
ALL = list(GOSSIP.messages())
EVERYTHING = GossipTimestampFilter(NETWORKS["regtest"], 0, 0xFFFFFFFF)
OPTION = "--experimental-gossip-v2"


async def has(node: Node, counter: str, value: int) -> None:
    """Wait until gossipstatus says so."""

    async def found() -> bool:
        return bool((await node.rpc("gossipstatus"))[counter] == value)

    await until(found, f"{counter} does not come to {value}")


def news(heard: list[BoltMessage]) -> list[BoltMessage]:
    """What is no question of ours for gossip, and no filter."""
    return [each for each in heard if each.number not in range(261, 267)]


async def listed(node: Node, **narrow: object) -> list[dict[str, Any]]:
    return list((await node.rpc("listgossipv2", **narrow))["gossip_v2"])


@pytest.mark.long
@pytest.mark.bolt("G2-19")
async def test_what_becomes_of_gossip_v2(nodes: Nodes, tmp_path: Path) -> None:
    """One node's story: all of a map, in listing, feed and record, not at another peer; bad signatures; restarts."""
    node = nodes.start(OPTION)
    with Recording(tmp_path / "record", node.directory / "feed", "--vantage", "here", "--convert-every", "1s"):
        await has(node, "feed_topics", len(topics_of([b""])))
        other = await ScriptedPeer.connect(node.target)
        await other.say(EVERYTHING)
        peer = await ScriptedPeer.connect(node.target)
        await peer.say(*ALL)
        await has(node, "v2_messages", len(ALL))
        await _is_listed(node)
        await asyncio.to_thread(
            recorded, lambda: len(set(ALL) & set(messages_of(tmp_path / "record"))) == len(ALL), "it"
        )
        assert news(await other.sync()) == []
        await _bad_ones_count(node, peer)
    _is_recorded(tmp_path / "record")
    await node.rpc("restart", what="gossipd")
    await has(node, "v2_messages", len(ALL))
    assert news(await peer.sync()) == news(await other.sync()) == [], "the connections are the same"
    await peer.say(GOSSIP.update(0, 0, 800_001))

    async def newer() -> bool:
        (entry,) = await listed(node, short_channel_id=scid_to_text(scid_of(0)))
        return bool(entry["updates"][0]["block_height"] == 800_001)

    await until(newer, "the update does not come")
    await peer.close()
    await other.close()
    node.stop()
    again = nodes.start(OPTION, name="l1")
    assert (await again.rpc("gossipstatus"))["v2_messages"] == len(ALL)
    assert len(await listed(again)) == len(MADE.edges) + len(MADE.node_numbers())


async def _is_listed(node: Node) -> None:
    """Once in a listing of its own, and in no other."""
    found = await listed(node)
    assert Counter(entry["type"] for entry in found) == {"channel": len(MADE.edges), "node": len(MADE.node_numbers())}
    channels = {entry["short_channel_id"]: entry for entry in found if entry["type"] == "channel"}
    for number, edge in enumerate(MADE.edges):
        entry = channels[scid_to_text(scid_of(number))]
        assert entry["nodes"] == sorted(public_key(MADE.node_secret(each)).hex() for each in edge[:2])
        assert (entry["capacity_msat"], entry["unchecked"]) == (edge.capacity_sat * 1000, True)
        assert [update["direction"] for update in entry["updates"]] == [0, 1]
        assert {update["delay"] for update in entry["updates"]} == {each.cltv_expiry_delta for each in edge.policies}
    said = NodeAnnouncement2.decode(ALL[-1])
    assert (await listed(node, id=said.node_id.hex()))[-1]["alias"] == said.alias
    assert (await node.rpc("listchannels"))["channels"] == (await node.rpc("listnodes"))["nodes"] == []
    with pytest.raises(RpcError, match="Can only specify one"):
        await listed(node, short_channel_id="1x1x1", id=said.node_id.hex())


async def _bad_ones_count(node: Node, peer: ScriptedPeer) -> None:
    """The first of them is told to the peer, the others are counted."""
    await peer.sync()
    bad = [instead(raw, 240, bytes(64)) for raw in (GOSSIP.update(1, 0, 800_001), GOSSIP.node_announcement(1, 800_001))]
    await peer.say(*bad, b"\x01\x0b")
    await has(node, "bad", 2)
    assert [type(each) for each in news(await peer.sync())] == [WarningMessage]
    peer.heard.clear()
    (score,) = [each for each in (await node.rpc("gossipstatus"))["peer_gossip"] if each["bad"]]
    assert score["bad"] == 3


def _is_recorded(folder: Path) -> None:
    """Each message once, with what it is about, and an arrival of each."""
    found = messages_of(folder)
    update = GOSSIP.channel(3).updates[1]
    assert found[update] == (271, scid_of(3), 1, None)
    assert found[ALL[-1]] == (269, None, None, NodeAnnouncement2.decode(ALL[-1]).node_id)


async def test_without_the_option(nodes: Nodes) -> None:
    """Ignored, as odd types that are unknown; the feed has it, and nothing is kept."""
    node = nodes.start()
    peer = await ScriptedPeer.connect(node.target)
    await peer.say(*ALL[:6], instead(ALL[0], 240, bytes(64)))
    assert news(await peer.sync()) == []
    status = await node.rpc("gossipstatus")
    assert (status["v2_messages"], status["bad"]) == (0, 0)
    with pytest.raises(RpcError, match="start the node with --experimental-gossip-v2"):
        await listed(node)
    assert not await asyncio.to_thread((node.directory / "gossipd" / "gossip_store_v2").exists)
    await peer.close()
