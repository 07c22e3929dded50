"""The map as two tables, of directions and of nodes: as CSV here, as Parquet in parquet.py."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from gossipd.gossmap import Gossmap
from lightningd_py.export.lntopo import address_text
from lightningd_py.export.ordered import directions, nodes
from wire.scid import scid_to_text

DIRECTIONS = {
    "short_channel_id": "string",
    "source": "string",
    "destination": "string",
    "capacity_sat": "int64",
    "disabled": "bool",
    "cltv_expiry_delta": "uint16",
    "htlc_minimum_msat": "uint64",
    "htlc_maximum_msat": "uint64",
    "fee_base_msat": "uint32",
    "fee_proportional_millionths": "uint32",
    "timestamp": "uint32",
}
"""Columns of `direction_rows`, with Arrow's names of their types."""
NODES = {
    "node_id": "string",
    "alias": "string",
    "rgb_color": "string",
    "timestamp": "uint32",
    "features": "string",
    "addresses": "string",
    "channels": "uint32",
}
"""Columns of `node_rows`."""


def direction_rows(gossmap: Gossmap) -> Iterator[tuple[Any, ...]]:
    """A row a direction that has an update; node_ids in hex, what is not known is None."""
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


def node_rows(gossmap: Gossmap) -> Iterator[tuple[Any, ...]]:
    """A row a node that has channels; what is not announced is None. `addresses` are separated by a space."""
    for node in nodes(gossmap):
        announced: tuple[Any, ...] = (None,) * 5
        if node.announcement:
            addresses = " ".join(map(address_text, node.addresses))
            announced = (node.alias, node.color.hex(), node.timestamp, node.features.hex(), addresses)
        yield (node.node_id.hex(), *announced, node.channel_count)


def csv_of_directions(gossmap: Gossmap, out: TextIO) -> None:
    """With a heading; `disabled` is 0 or 1, what is not known is empty."""
    _write(out, DIRECTIONS, direction_rows(gossmap))


def csv_of_nodes(gossmap: Gossmap, out: TextIO) -> None:
    """With a heading; what a node has not announced is empty."""
    _write(out, NODES, node_rows(gossmap))


def _write(out: TextIO, head: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for row in rows:
        writer.writerow(int(value) if isinstance(value, bool) else value for value in row)
