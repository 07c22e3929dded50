"""A whole node with a public channel: it announces itself, once, and again when it has something else to say."""

import time
from collections.abc import AsyncIterator

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.gossipd.messages import KEYS, announcement, update
from tests.harness.node import Node, Nodes
from wire.address import read_descriptors
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement

SAID = "we have announced ourselves"
US = 1
"""The place of our key in KEYS: the second end of the channel."""


def start(nodes: Nodes, alias: str) -> Node:
    """Our node, each time the same one."""
    key = f"--dev-force-privkey={KEYS[US][0].hex()}"
    return nodes.start(key, f"--alias={alias}", "--announce-addr=192.0.2.1", name="us")


async def heard_by_a_stranger(node: Node) -> NodeAnnouncement:
    """What a peer that sends no filter hears of us: the channel, our side of it, and then this."""
    async with await ScriptedPeer.connect(node.target) as peer:
        said = await peer.hear(NodeAnnouncement)
        gossip = [type(message) for message in peer.heard if isinstance(message, ChannelAnnouncement | ChannelUpdate)]
        assert gossip == [ChannelAnnouncement, ChannelUpdate]
        assert said.node_id.hex() == node.node_id
        return said


@pytest.fixture
async def node(nodes: Nodes) -> AsyncIterator[Node]:
    """A node with a channel that a service has announced."""
    node = start(nodes, "first")
    for message in (announcement(0, 0, US), update(0, 1, int(time.time()))):
        await node.rpc("addgossip", message=message.hex())
    await node.logged(SAID)
    yield node


async def test_alias_and_colour_that_setconfig_changes_are_told_to_peers(node: Node) -> None:
    """With a later timestamp, and to a peer that comes afterwards, too."""
    first = await heard_by_a_stranger(node)
    async with await ScriptedPeer.connect(node.target) as peer:
        assert await peer.hear(NodeAnnouncement) == first
        await node.rpc("setconfig", config="rgb", val="0a0b0c")
        await node.rpc("setconfig", config="alias", val="\u26a1 new")
        said = first
        while said.alias.rstrip(b"\0") != "\u26a1 new".encode():
            said = await peer.hear(NodeAnnouncement)
        assert said.rgb_color == b"\x0a\x0b\x0c"
        assert said.timestamp > first.timestamp
    assert await heard_by_a_stranger(node) == said


@pytest.mark.long
@pytest.mark.bolt("B7-97")
async def test_our_announcement(nodes: Nodes, node: Node) -> None:
    first = await heard_by_a_stranger(node)
    assert first.alias.rstrip(b"\0") == b"first"
    assert [str(address) for address in read_descriptors(first.addresses)] == ["192.0.2.1:19846"]
    (listed,) = (await node.rpc("listnodes", id=node.node_id))["nodes"]
    assert (listed["alias"], listed["last_timestamp"]) == ("first", first.timestamp)

    assert node.stop() == 0
    node = start(nodes, "first")
    assert await heard_by_a_stranger(node) == first
    assert node.stop() == 0
    assert SAID not in node.log

    node = start(nodes, "second")
    await node.logged(SAID)
    second = await heard_by_a_stranger(node)
    assert second.alias.rstrip(b"\0") == b"second"
    assert second.timestamp > first.timestamp
