"""Graphviz' DOT: a node with its alias and colour, an edge a direction."""

import re
from typing import TextIO

from gossipd.gossmap import Gossmap
from lightningd_py.export.ordered import directions, nodes
from wire.scid import scid_to_text

_TO_ESCAPE = re.compile(r'[\\"]')


def quoted(text: str) -> str:
    """A DOT string that shows exactly this text: in a label a backslash begins an escape, and & an HTML entity."""
    return '"' + _TO_ESCAPE.sub(r"\\\g<0>", text.replace("&", "&amp;")) + '"'


def dot(gossmap: Gossmap, out: TextIO) -> None:
    """A digraph; edges have the names of BOLT 7's fields, `capacity_sat` where it is known."""
    out.write("digraph lightning {\n")
    for node in nodes(gossmap):
        attributes = {"label": node.alias or node.node_id.hex()[:16]}
        if node.color:
            attributes["color"] = f"#{node.color.hex()}"
        out.write(f"  {quoted(node.node_id.hex())} [{_listed(attributes)}];\n")
    for channel, number, update in directions(gossmap):
        ends = (channel.node_ids[number].hex(), channel.node_ids[1 - number].hex())
        values = {
            "scid": f"{scid_to_text(channel.short_channel_id)}/{number}",
            "fee_base_msat": str(update.fee_base_msat),
            "fee_proportional_millionths": str(update.fee_proportional_millionths),
            "disabled": str(int(update.disabled)),
        }
        if channel.capacity_sat is not None:
            values["capacity_sat"] = str(channel.capacity_sat)
        out.write(f"  {quoted(ends[0])} -> {quoted(ends[1])} [{_listed(values)}];\n")
    out.write("}\n")


def _listed(attributes: dict[str, str]) -> str:
    return ", ".join(f"{name}={quoted(value)}" for name, value in attributes.items())
