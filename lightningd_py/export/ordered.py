"""A map in an order that is the same for the same map, whatever the order in which its parts were heard."""

from collections import Counter
from collections.abc import Iterator

from gossipd.gossmap import Channel, Direction, Gossmap, Node


def channels(gossmap: Gossmap) -> Iterator[Channel]:
    """By short_channel_id."""
    for scid in sorted(gossmap.index.channels):
        channel = gossmap.channel(scid)
        if channel is not None:
            yield channel


def directions(gossmap: Gossmap) -> Iterator[tuple[Channel, int, Direction]]:
    """Each direction that has an update, with its number."""
    for channel in channels(gossmap):
        for number in (0, 1):
            update = channel.direction(number)
            if update is not None:
                yield channel, number, update


def nodes(gossmap: Gossmap) -> Iterator[Node]:
    """By node_id."""
    for node_id in sorted(gossmap.index.nodes):
        node = gossmap.node(node_id)
        if node is not None:
            yield node


def ways_from(gossmap: Gossmap) -> dict[bytes, list[tuple[int, int]]]:
    """node_id -> (short_channel_id, number) of each direction with an update that leads from it. One look at the map:
    to ask the map for the channels of each node would be one for each."""
    found: dict[bytes, list[tuple[int, int]]] = {}
    for channel, number, _ in directions(gossmap):
        found.setdefault(channel.node_ids[number], []).append((channel.short_channel_id, number))
    return found


def degrees(gossmap: Gossmap) -> tuple[Counter[bytes], Counter[bytes]]:
    """By node_id, how many directions with an update lead from it, and to it."""
    outward, inward = Counter[bytes](), Counter[bytes]()
    for channel, number, _ in directions(gossmap):
        outward[channel.node_ids[number]] += 1
        inward[channel.node_ids[1 - number]] += 1
    return outward, inward
