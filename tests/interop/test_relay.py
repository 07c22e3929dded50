"""Between two other implementations: LDK and node-lightning are peers of ours alone, and each learns the other's map.

What each does with its own code. LDK (PeerManager, P2PGossipSync, NetworkGraph): everything. It checks all signatures,
serves its graph when it hears our gossip_timestamp_filter, asks us for ours, and passes on the live update of another
peer. node-lightning: Peer, the message classes, GossipFilter (all signatures again), GossipMemoryStore,
`allMessages` and GossipRelay; of our making (node_lightning/peer.mjs) are the calls between these, and that a
gossip_timestamp_filter is answered at all: it has no code for that, and it answers no queries.

It has one chaining key for both directions (BOLT 8 has two), so a connection on which both sides say more than 500
messages breaks: it tells us its map, leaves, and comes back to hear ours. Announcements of nodes with a host name among
their addresses are left out: it cannot write them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until
from tests.interop import ldks, node_lightnings
from tests.interop.conftest import WHILE_IT_CHECKS, pins
from tests.interop.ldks import Ldk
from tests.interop.node_lightnings import GOSSIP_QUERIES, GOSSIP_QUERIES_EX, NodeLightning
from wire.address import read_descriptors
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode
from wire.scid import scid_to_text
from wire.secp256k1 import double_sha256, public_key, sign

EACH = 600
"""Channels that either of them begins with: more messages than one key of BOLT 8 encrypts."""
NODES = 200


@pytest.fixture(scope="module")
def small_map() -> SyntheticMap:
    return SyntheticMap(random_edges(4, 2 * EACH, NODES), seed=4, now=int(time.time()))


class Half:
    """What one of the two knows in the beginning: every second channel with its updates, and nodes that have any."""

    def __init__(self, small_map: SyntheticMap, messages: list[bytes], parity: int) -> None:
        channels = [raw for at in range(3 * parity, 3 * len(small_map.edges), 6) for raw in messages[at : at + 3]]
        announcements = map(decode, channels[::3])
        has_channel = {
            node_id
            for channel in announcements
            if isinstance(channel, ChannelAnnouncement)
            for node_id in (channel.node_id_1, channel.node_id_2)
        }
        self.nodes = {
            raw
            for raw in messages[3 * len(small_map.edges) :]
            if isinstance(node := decode(raw), NodeAnnouncement)
            and node.node_id in has_channel
            and not any(address.kind == "dns" for address in read_descriptors(node.addresses))
        }
        self.channels = [raw.hex() for raw in channels]
        self.messages = [*self.channels, *(raw.hex() for raw in self.nodes)]
        self.map = small_map
        self.number = parity
        """Of its first channel."""

    def newer(self) -> ChannelUpdate:
        """The first channel's update of direction 0, of a later time."""
        update = decode(bytes.fromhex(self.channels[1]))
        assert isinstance(update, ChannelUpdate) and update.channel_flags & 1 == 0
        later = replace(update, timestamp=self.map.now + 10, cltv_expiry_delta=update.cltv_expiry_delta + 1)
        secret = min(map(self.map.node_secret, self.map.edges[self.number][:2]), key=public_key)
        return replace(later, signature=sign(secret, double_sha256(later.encode()[66:])))


@pytest.fixture(scope="module")
def halves(small_map: SyntheticMap) -> tuple[Half, Half]:
    messages = list(small_map.messages())
    return Half(small_map, messages, 0), Half(small_map, messages, 1)


@pytest.fixture
async def ldk(node_modules: Callable[[Sequence[str]], Path], tmp_path: Path) -> AsyncIterator[Ldk]:
    ldk = await Ldk.start(node_modules(pins(ldks.PACKAGE)), tmp_path / "ldk.log")
    yield ldk
    await ldk.stop()


@pytest.fixture
def theirs(node_modules: Callable[[Sequence[str]], Path]) -> Iterator[NodeLightning]:
    theirs = NodeLightning(node_modules(pins(node_lightnings.PACKAGE)))
    yield theirs
    theirs.end()


async def listed(node: Node) -> tuple[int, int]:
    """Channel directions and announced nodes."""
    channels = (await node.rpc("listchannels"))["channels"]
    nodes = (await node.rpc("listnodes"))["nodes"]
    return len(channels), sum("alias" in node for node in nodes)


async def has_heard(hearer: Ldk | NodeLightning, scid: str, update: ChannelUpdate) -> bool:
    """Whether this update of direction 0 is in its graph."""
    return bool((await hearer("timestamp", scid=scid, direction=0))["timestamp"] == update.timestamp)


@pytest.mark.long
@pytest.mark.bolt("B7-57", "B7-68", "B7-96", "B7-98", "B7-100")
async def test_two_implementations_learn_from_each_other_through_us(
    ldk: Ldk, theirs: NodeLightning, nodes: Nodes, halves: tuple[Half, Half]
) -> None:
    of_ldk, of_theirs = halves
    announced = len(of_ldk.nodes | of_theirs.nodes)
    node, _, kept = await asyncio.gather(
        asyncio.to_thread(nodes.start), ldk.load(of_ldk.messages), theirs("keep", messages=of_theirs.messages)
    )
    assert kept == {"channels": EACH, "updates": 2 * EACH, "nodes": len(of_theirs.nodes), "wrong": []}

    their_id, their_port = await theirs.listen()
    await node.rpc("connect", id=their_id, host="127.0.0.1", port=their_port)

    async def lists(channels: int, nodes: int) -> bool:
        return await listed(node) == (2 * channels, nodes)

    await until(lambda: lists(EACH, len(of_theirs.nodes)), "node-lightning's map did not come to us", WHILE_IT_CHECKS)
    await theirs("disconnect")
    ldk_id, ldk_port = await ldk.listen()
    await node.rpc("connect", id=ldk_id, host="127.0.0.1", port=ldk_port)
    whole = {"channels": 2 * EACH, "updates": 4 * EACH}
    await until(lambda: lists(2 * EACH, announced), "LDK's map did not come to us", WHILE_IT_CHECKS)
    await theirs.dial(node, without=[GOSSIP_QUERIES, GOSSIP_QUERIES_EX])  # or we would want its map again
    await theirs("filter", first=0, range=0xFFFFFFFF)
    assert await theirs("wait", **whole, nodes=announced) == {**whole, "nodes": announced, "wrong": []}
    await ldk("wait", peers=1, **whole, announced_nodes=announced)

    await theirs("relay")
    async with (  # both stay until the end: the GossipRelay ends its process when a peer has left it
        await ScriptedPeer.connect(f"{ldk_id}@127.0.0.1:{ldk_port}") as peer_of_ldk,
        await ScriptedPeer.connect(f"{their_id}@127.0.0.1:{their_port}") as peer_of_theirs,
    ):
        live = of_ldk.newer()
        await peer_of_ldk.say(live)
        await until(
            lambda: has_heard(theirs, scid_to_text(live.short_channel_id), live), "LDK's update was not relayed"
        )
        back = of_theirs.newer()
        await peer_of_theirs.say(back)
        await until(lambda: has_heard(ldk, str(back.short_channel_id), back), "node-lightning's update was not relayed")
