"""The graph with lntopo's names (`timemachine restore`): as GraphML, and as networkx' adjacency JSON, which mempool's
importer of history reads.

Both are multigraphs: two nodes may have several channels, of which each direction that has an update is an edge.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO
from xml.sax.saxutils import escape

from gossipd.gossmap import Channel, Direction, Gossmap, Node
from lightningd_py.export.ordered import degrees, directions, nodes, ways_from
from wire.address import WireAddr
from wire.command.text import NOT_XML
from wire.scid import scid_to_text

NODE_KEYS = {
    "id": "string",
    "timestamp": "long",
    "features": "string",
    "rgb_color": "string",
    "alias": "string",
    "addresses": "string",
    "out_degree": "long",
    "in_degree": "long",
}
EDGE_KEYS = {
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


def xml_text(text: str) -> str:
    """Text for an element or a quoted attribute. What XML cannot have becomes the \\xNN of its bytes, as in aliases."""
    return escape(NOT_XML.sub(_bytes_of, text), {'"': "&quot;", "\r": "&#13;"})


def _bytes_of(match: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in match[0].encode(errors="surrogatepass"))


def graphml(gossmap: Gossmap, out: TextIO) -> None:
    """GraphML; an edge's id is its scid with the direction."""
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
    for kind, keys in (("node", NODE_KEYS), ("edge", EDGE_KEYS)):
        for name, type_ in keys.items():
            out.write(f'<key id="{kind}_{name}" for="{kind}" attr.name="{name}" attr.type="{type_}"/>\n')
    out.write('<graph edgedefault="directed">\n')
    ways = degrees(gossmap)
    for node in nodes(gossmap):
        out.write(f'<node id="{node.node_id.hex()}">{_data("node", _node(node, ways))}</node>\n')
    for channel, number, update in directions(gossmap):
        edge = _edge(channel, number, update)
        ends = f'source="{edge["source"]}" target="{edge["destination"]}" id="{edge["scid"]}"'
        out.write(f"<edge {ends}>{_data('edge', edge)}</edge>\n")
    out.write("</graph>\n</graphml>\n")


def _data(kind: str, values: dict[str, Any]) -> str:
    return "".join(f'<data key="{kind}_{name}">{xml_text(str(value))}</data>' for name, value in values.items())


def adjacency(gossmap: Gossmap, out: TextIO) -> None:
    """The JSON of networkx' `adjacency_data`; an edge's key is its scid with the direction."""
    out.write('{"directed": true, "multigraph": true, "graph": [], "nodes": [')
    ways = degrees(gossmap)
    for number, node in enumerate(nodes(gossmap)):
        out.write((",\n" if number else "\n") + json.dumps(_node(node, ways)))
    out.write('], "adjacency": [')
    of = ways_from(gossmap)
    for number, node in enumerate(nodes(gossmap)):
        edges = list(_edges(gossmap, of.get(node.node_id, [])))
        out.write((",\n" if number else "\n") + json.dumps(edges))
    out.write("]}\n")


def _edges(gossmap: Gossmap, ways: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    for scid, number in ways:
        channel = gossmap.channel(scid)
        update = channel.direction(number) if channel is not None else None
        if channel is not None and update is not None:
            edge = _edge(channel, number, update)
            yield edge | {"id": edge["destination"], "key": edge["scid"]}


def _node(node: Node, ways: tuple[Counter[bytes], Counter[bytes]]) -> dict[str, Any]:
    found: dict[str, Any] = {"id": node.node_id.hex()}
    if node.announcement:
        found |= {
            "timestamp": node.timestamp,
            "features": node.features.hex(),
            "rgb_color": node.color.hex(),
            "alias": node.alias,
            "addresses": ",".join(map(address_text, node.addresses)),
        }
    outward, inward = ways
    return found | {"out_degree": outward[node.node_id], "in_degree": inward[node.node_id]}


def address_text(address: WireAddr) -> str:
    """`ipv4://192.0.2.1:9735`."""
    return f"{address.kind}://{address}"


def _edge(channel: Channel, number: int, update: Direction) -> dict[str, Any]:
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
