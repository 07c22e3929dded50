"""What is true: the gossip that all honest peers agree on, and whether a node has it."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.node import Node
from tests.harness.waiting import until
from wire.message import BoltMessage
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode
from wire.scid import scid_to_text

M = TypeVar("M", bound=BoltMessage)

ANNOUNCEMENT = b"\x01\x00"
"""The type of a channel_announcement."""


def true_gossip(true_map: SyntheticMap) -> list[bytes]:
    """All messages of a map: each channel, its updates, and right after them those of its nodes that are new."""
    nodes = {_decoded(raw, NodeAnnouncement).node_id: raw for raw in true_map.node_announcements()}
    messages: list[bytes] = []
    for channel in true_map.channels():
        ends = _decoded(channel.announcement, ChannelAnnouncement)
        messages += [channel.announcement, *channel.updates]
        messages += [nodes.pop(node_id) for node_id in (ends.node_id_1, ends.node_id_2) if node_id in nodes]
    return messages


def known_and_news(channels: int, known: int) -> tuple[list[bytes], list[bytes]]:
    """A map of today of so many channels: what belongs to the first ones, and the rest."""
    made = SyntheticMap(random_edges(1, channels, channels // 3), seed=1, now=int(time.time()))
    messages = true_gossip(made)
    begins = [at for at, raw in enumerate(messages) if raw[:2] == ANNOUNCEMENT]
    return messages[: begins[known]], messages[begins[known] :]


async def tell(node: Node, messages: Sequence[bytes]) -> None:
    """Have a peer tell all of this, and wait until it is on the map."""

    async def whole() -> bool:
        return not await lacks(node, messages)

    async with await ScriptedPeer.connect(node.target) as teller:
        await teller.say(*messages)
        await until(whole, "the map is not taken in")


def _decoded(raw: bytes, kind: type[M]) -> M:
    message = decode(raw)
    assert isinstance(message, kind)
    return message


def write_truth(messages: Iterable[bytes], path: Path) -> Path:
    """A line of hex digits each."""
    path.write_text("".join(f"{message.hex()}\n" for message in messages))
    return path


def read_truth(path: Path) -> list[bytes]:
    """The other way."""
    return [bytes.fromhex(line) for line in path.read_text().split()]


async def lacks(node: Node, messages: Iterable[bytes]) -> list[str]:
    """What of the truth is not on the node's map, or is otherwise there: a line each."""
    channels = (await node.rpc("listchannels"))["channels"]
    updates = {(each["short_channel_id"], each["direction"]): each for each in channels}
    nodes = {each["nodeid"]: each for each in (await node.rpc("listnodes"))["nodes"]}
    return [line for raw in messages if (line := _lack(decode(raw), updates, nodes))]


def _lack(message: BoltMessage, updates: dict[Any, Any], nodes: dict[str, Any]) -> str | None:
    match message:
        case ChannelAnnouncement():
            scid = scid_to_text(message.short_channel_id)
            ends = {message.node_id_1.hex(), message.node_id_2.hex()}
            found = [{update["source"], update["destination"]} for at, update in updates.items() if at[0] == scid]
            return None if ends in found else f"channel {scid}: {found}"
        case ChannelUpdate():
            at = scid_to_text(message.short_channel_id), message.channel_flags & 1
            timestamp = updates.get(at, {}).get("last_update")
            return None if timestamp == message.timestamp else f"update {at}: {timestamp}"
        case NodeAnnouncement():
            timestamp = nodes.get(message.node_id.hex(), {}).get("last_timestamp")
            return None if timestamp == message.timestamp else f"node {message.node_id.hex()}: {timestamp}"
    return f"{message} is no gossip"
