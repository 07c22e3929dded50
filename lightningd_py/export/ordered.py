"""A map in an order that is the same for the same map, whatever the order in which its parts were heard."""

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


def degrees(gossmap: Gossmap, node: Node) -> tuple[int, int]:
    """How many directions with an update lead from the node, and to it."""
    ways = [0, 0]
    for channel in gossmap.channels_of(node.node_id):
        own = channel.node_ids.index(node.node_id)
        for number in (0, 1):
            ways[number != own] += channel.direction(number) is not None
    return ways[0], ways[1]
