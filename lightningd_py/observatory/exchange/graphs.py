"""A Gossmap written as a graph that others read: lnd's describegraph, lntopo's GraphML, CSV. Needs no extra.

Strangers wrote what is in it: texts are escaped for the format that they stand in.
"""

import base64
import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO
from xml.sax.saxutils import escape, quoteattr

from gossipd.gossmap import Channel, Direction, Gossmap, Node
from wire.address import WireAddr
from wire.cursor import Cursor, WireError, read_tlvs
from wire.features import Features, bit_name
from wire.gossip_layout import UPDATE_SIZE, channel_signatures
from wire.scid import scid_to_text

INBOUND_FEES = 55555
"""lnd's TLV in a channel_update: two signed 32-bit numbers, base and millionths."""


# lnd's describegraph: protojson with all fields, 64-bit numbers as strings, bytes in base64


def describegraph(gossmap: Gossmap, out: TextIO) -> None:
    """As `lncli describegraph` prints it. `chan_point` is empty: gossip does not tell the funding transaction."""
    out.write('{"nodes": [')
    _joined(out, (_lnd_node(node) for node in gossmap.nodes() if node.announcement))
    out.write('], "edges": [')
    _joined(out, map(_lnd_edge, gossmap.channels()))
    out.write("]}\n")


def _joined(out: TextIO, values: Iterable[dict[str, Any]]) -> None:
    for number, value in enumerate(values):
        out.write((",\n" if number else "\n") + json.dumps(value))


def _lnd_node(node: Node) -> dict[str, Any]:
    return {
        "last_update": node.timestamp,
        "pub_key": node.node_id.hex(),
        "alias": node.alias,
        "addresses": [{"network": "tcp", "addr": str(address)} for address in node.addresses],
        "color": f"#{node.color.hex()}",
        "features": _lnd_features(node.features),
        "custom_records": {},
    }


def _lnd_features(data: bytes) -> dict[str, Any]:
    return {str(bit): _lnd_feature(bit) for bit in Features(data).bits()}


def _lnd_feature(bit: int) -> dict[str, Any]:
    name = bit_name(bit)
    is_known = not name.startswith("unknown")
    return {"name": name.partition("/")[0] if is_known else "unknown", "is_required": not bit % 2, "is_known": is_known}


def _lnd_edge(channel: Channel) -> dict[str, Any]:
    updates = [channel.direction(number) for number in (0, 1)]
    policies = [None if update is None else _lnd_policy(update) for update in updates]
    return {
        "channel_id": str(channel.short_channel_id),
        "chan_point": "",
        "last_update": max([update.timestamp for update in updates if update is not None], default=0),
        "node1_pub": channel.node_ids[0].hex(),
        "node2_pub": channel.node_ids[1].hex(),
        "capacity": str(channel.capacity_sat or 0),
        "node1_policy": policies[0],
        "node2_policy": policies[1],
        "custom_records": {},
        "auth_proof": _lnd_proof(channel.announcement),
    }


def _lnd_proof(announcement: bytes) -> dict[str, str]:
    names = ("node_sig1", "node_sig2", "bitcoin_sig1", "bitcoin_sig2")
    signatures = channel_signatures(announcement)
    return {name: base64.b64encode(each).decode() for name, each in zip(names, signatures, strict=True)}


def _lnd_policy(update: Direction) -> dict[str, Any]:
    base, millionths = inbound_fees(update.raw)
    return {
        "time_lock_delta": update.cltv_expiry_delta,
        "min_htlc": str(update.htlc_minimum_msat),
        "fee_base_msat": str(update.fee_base_msat),
        "fee_rate_milli_msat": str(update.fee_proportional_millionths),
        "disabled": update.disabled,
        "max_htlc_msat": str(update.htlc_maximum_msat or 0),
        "last_update": update.timestamp,
        "custom_records": {},
        "inbound_fee_base_msat": base,
        "inbound_fee_rate_milli_msat": millionths,
    }


def inbound_fees(raw: bytes) -> tuple[int, int]:
    """The inbound base fee (msat) and millionths of a channel_update; 0 if it has none, or what follows is no TLV."""
    try:
        found = read_tlvs(Cursor(raw[UPDATE_SIZE:]), {INBOUND_FEES}).get(INBOUND_FEES, b"")
    except WireError:
        return 0, 0
    if len(found) != 8:
        return 0, 0
    return int.from_bytes(found[:4], "big", signed=True), int.from_bytes(found[4:], "big", signed=True)


# lntopo's GraphML

_NODE_KEYS = {
    "id": "string",
    "timestamp": "long",
    "features": "string",
    "rgb_color": "string",
    "alias": "string",
    "addresses": "string",
    "out_degree": "long",
    "in_degree": "long",
}
_EDGE_KEYS = {
    "scid": "string",
    "source": "string",
    "destination": "string",
    "timestamp": "long",
    "features": "string",
    "fee_base_msat": "long",
    "fee_proportional_millionths": "long",
    "htlc_minimim_msat": "long",  # the field's own spelling
    "htlc_maximum_msat": "long",
    "cltv_expiry_delta": "long",
}


def graphml(gossmap: Gossmap, out: TextIO) -> None:
    """As lntopo's `timemachine restore --fmt graphml`: an edge a direction that has an update."""
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
    for kind, keys in (("node", _NODE_KEYS), ("edge", _EDGE_KEYS)):
        for name, type_ in keys.items():
            out.write(f'<key id="{kind}_{name}" for="{kind}" attr.name="{name}" attr.type="{type_}"/>\n')
    out.write('<graph edgedefault="directed">\n')
    for node in gossmap.nodes():
        out.write(f"<node id={quoteattr(node.node_id.hex())}>{_data('node', _graphml_node(gossmap, node))}</node>\n")
    for channel, number, update in directions(gossmap):
        source, destination = channel.node_ids[number].hex(), channel.node_ids[1 - number].hex()
        scid = f"{scid_to_text(channel.short_channel_id)}/{number}"
        ends = f'source="{source}" target="{destination}" id="{scid}"'
        out.write(f"<edge {ends}>{_data('edge', _graphml_edge(channel, number, update))}</edge>\n")
    out.write("</graph>\n</graphml>\n")


def _data(kind: str, values: dict[str, Any]) -> str:
    return "".join(f'<data key="{kind}_{name}">{escape(str(value))}</data>' for name, value in values.items())


def _graphml_node(gossmap: Gossmap, node: Node) -> dict[str, Any]:
    ways = [0, 0]
    for channel in gossmap.channels_of(node.node_id):
        own = channel.node_ids.index(node.node_id)
        for number in (0, 1):
            ways[number != own] += channel.direction(number) is not None
    found: dict[str, Any] = {"id": node.node_id.hex()}
    if node.announcement:
        found |= {
            "timestamp": node.timestamp,
            "features": node.features.hex(),
            "rgb_color": node.color.hex(),
            "alias": node.alias,
            "addresses": ",".join(_lntopo_address(address) for address in node.addresses),
        }
    return found | {"out_degree": ways[0], "in_degree": ways[1]}


def _lntopo_address(address: WireAddr) -> str:
    return f"{address.kind}://{address}"


def _graphml_edge(channel: Channel, number: int, update: Direction) -> dict[str, Any]:
    return {
        "scid": f"{scid_to_text(channel.short_channel_id)}/{number}",
        "source": channel.node_ids[number].hex(),
        "destination": channel.node_ids[1 - number].hex(),
        "timestamp": update.timestamp,
        "features": channel.features.hex(),
        "fee_base_msat": update.fee_base_msat,
        "fee_proportional_millionths": update.fee_proportional_millionths,
        "htlc_minimim_msat": update.htlc_minimum_msat,
        "htlc_maximum_msat": update.htlc_maximum_msat or 0,
        "cltv_expiry_delta": update.cltv_expiry_delta,
    }


# CSV

HEAD = (
    "short_channel_id",
    "source",
    "destination",
    "capacity_sat",
    "disabled",
    "cltv_expiry_delta",
    "htlc_minimum_msat",
    "htlc_maximum_msat",
    "fee_base_msat",
    "fee_proportional_millionths",
    "timestamp",
)
"""Columns of `rows`."""


def directions(gossmap: Gossmap) -> Iterator[tuple[Channel, int, Direction]]:
    """Each direction that has an update, with its number."""
    for channel in gossmap.channels():
        for number in (0, 1):
            update = channel.direction(number)
            if update is not None:
                yield channel, number, update


def rows(gossmap: Gossmap) -> Iterator[tuple[Any, ...]]:
    """A row a direction, with the columns of HEAD; node_ids in hex, what is not known is None."""
    for channel, number, update in directions(gossmap):
        yield (
            scid_to_text(channel.short_channel_id),
            channel.node_ids[number].hex(),
            channel.node_ids[1 - number].hex(),
            channel.capacity_sat,
            update.disabled,
            update.cltv_expiry_delta,
            update.htlc_minimum_msat,
            update.htlc_maximum_msat,
            update.fee_base_msat,
            update.fee_proportional_millionths,
            update.timestamp,
        )


def comma_separated(gossmap: Gossmap, out: TextIO) -> None:
    """CSV of `rows`, with a heading."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for row in rows(gossmap):
        writer.writerow(int(value) if isinstance(value, bool) else value for value in row)


WRITERS: dict[str, Callable[[Gossmap, TextIO], None]] = {
    "describegraph": describegraph,
    "graphml": graphml,
    "csv": comma_separated,
}
"""Formats of text."""
