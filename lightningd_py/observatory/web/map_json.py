"""A map as the page takes it: columns, since a browser reads 50,000 channels faster so than as objects.

What strangers wrote is made fit to be shown and cut to a length here, and is text for the page.
"""

from typing import Any

from gossipd.gossmap import Channel, Direction, Gossmap, Node
from lightningd_py.observatory.web.positions import Positions
from wire.command.text import replaced
from wire.features import Features
from wire.scid import scid_to_text

MOST_FEATURES, MOST_ADDRESSES, MOST_CHANNELS = 64, 32, 2_000
"""Of one node that are listed."""


def columns(gossmap: Gossmap, positions: Positions) -> dict[str, Any]:
    """`nodes`: id, alias, color (None if it has announced nothing), x, y. `channels`: scid, a and b (places in
    `nodes`), sat (None if not known)."""
    index = gossmap.index
    nodes = list(gossmap.nodes())
    places = {index.nodes[node.node_id]: place for place, node in enumerate(nodes)}
    rows = list(index.channels.values())
    a = [places[index.node1[row]] for row in rows]
    b = [places[index.node2[row]] for row in rows]
    spots = positions.placed([node.node_id for node in nodes], a, b)
    amounts = [index.amount_sat[row] for row in rows]
    return {
        "nodes": {
            "id": [node.node_id.hex() for node in nodes],
            "alias": [node.alias for node in nodes],
            "color": [node.color.hex() if node.announcement else None for node in nodes],
            "x": [round(x, 1) for x, _ in spots],
            "y": [round(y, 1) for _, y in spots],
        },
        "channels": {
            "scid": [scid_to_text(index.scid[row]) for row in rows],
            "a": a,
            "b": b,
            "sat": [None if amount < 0 else amount for amount in amounts],
        },
        "is_laid_out": positions.is_good,
    }


def node_details(gossmap: Gossmap, node: Node) -> dict[str, Any]:
    """What a node has announced, and its channels."""
    channels = list(gossmap.channels_of(node.node_id))
    said = bool(node.announcement)
    return {
        "id": node.node_id.hex(),
        "alias": node.alias if said else None,
        "timestamp": node.timestamp,
        "addresses": [replaced(str(address)) for address in node.addresses[:MOST_ADDRESSES]],
        "features": [replaced(name) for name in Features(node.features).names(MOST_FEATURES)],
        "channel_count": node.channel_count,
        "capacity_sat": sum(channel.capacity_sat or 0 for channel in channels),
        "channels": [_line(channel, node.node_id) for channel in channels[:MOST_CHANNELS]],
    }


def _line(channel: Channel, node_id: bytes) -> dict[str, Any]:
    one, two = channel.node_ids
    return {
        "scid": scid_to_text(channel.short_channel_id),
        "with": (two if one == node_id else one).hex(),
        "sat": channel.capacity_sat,
    }


def channel_details(channel: Channel) -> dict[str, Any]:
    """Both ends of a channel and what they ask for."""
    return {
        "scid": scid_to_text(channel.short_channel_id),
        "node_ids": [node_id.hex() for node_id in channel.node_ids],
        "capacity_sat": channel.capacity_sat,
        "dying_at": channel.dying_at,
        "directions": [_policy(channel.direction(number)) for number in (0, 1)],
    }


def _policy(update: Direction | None) -> dict[str, Any] | None:
    if update is None:
        return None
    fields = update._asdict()
    del fields["raw"], fields["message_flags"], fields["channel_flags"]
    return fields | {
        "disabled": update.disabled,
        "htlc_minimum_msat": str(update.htlc_minimum_msat),
        "htlc_maximum_msat": None if update.htlc_maximum_msat is None else str(update.htlc_maximum_msat),
    }
