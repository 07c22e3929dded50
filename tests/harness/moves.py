"""What tests of services say to a peer's node, and what they look at: who owns the connection, and how it got there."""

import asyncio

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import Node
from wire.message import BoltMessage
from wire.routing import Action, default_action
from wire.types import NETWORKS

TEMPORARY_ID = bytes(range(32))
CHAIN = NETWORKS["regtest"]
PRIVILEGED = bytes([77]) * 32
"""The key of a peer whose every connection a puppet takes."""
TAKEN = [("gossipd", "peer_taken"), ("master", "peer_nongossip"), ("puppet", "take_peer")]
"""From the direct path to a puppet."""
GIVEN_BACK = [("master", "peer_given_back"), ("gossipd", "handle_peer")]


def opening(number: int = 32) -> bytes:
    """open_channel or open_channel2, as far as anybody looks at it."""
    return number.to_bytes(2, "big") + CHAIN + TEMPORARY_ID + bytes(200)


def about_channel(number: int) -> bytes:
    """Any other channel message."""
    return number.to_bytes(2, "big") + TEMPORARY_ID + bytes(100)


async def owner(node: Node, peer: ScriptedPeer) -> str:
    """Who has the connection, as listpeers says."""
    return str((await node.peer(peer.node_id))["owner"])


async def moves(node: Node, peer: ScriptedPeer) -> list[tuple[str, str]]:
    """(owner, message) of each change of owner."""
    return [(move["owner"], move["message"]) for move in (await node.peer(peer.node_id))["moves"]]


async def ping(node: Node, peer: ScriptedPeer) -> int:
    """Through the RPC, while the peer listens."""
    listening = asyncio.create_task(peer.hangs_up(30))
    try:
        return int((await node.rpc("ping", id=peer.node_id.hex()))["totlen"])
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)  # else it still waits when the next one reads


async def is_gone(node: Node, peer: ScriptedPeer) -> bool:
    """The node does not list it any more."""
    return peer.node_id.hex() not in await node.peers()


def said(heard: list[BoltMessage]) -> list[BoltMessage]:
    """What the node said to a peer besides gossip and asking for it."""
    return [message for message in heard if default_action(message.number) is not Action.GOSSIP]
