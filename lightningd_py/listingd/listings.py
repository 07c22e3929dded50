"""What listnodes and listchannels say: CLN's fields, read from the gossip_store piece by piece.

gossipd is not asked and not kept waiting: the store is the interface. A listing has what was on the map when it began
and still is when its turn comes, so that it may take as long as its reader does, and holds 8 bytes a channel.
"""

import json
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gossipd.gossmap import Channel, Direction, Gossmap, Node
from lightningd_py.listingd.result_filter import apply_filter
from wire.address import to_json
from wire.control.control_wire import MapListing
from wire.scid import scid_to_text

PIECE = 128
"""Channels or nodes that are looked up in one go: a few milliseconds."""

Entry = dict[str, Any]


class Listings:
    """The map as JSON values. The store is read when something is listed first."""

    def __init__(self, store: Path) -> None:
        """`store`: its path, which is looked at; what lies there comes open with each listing."""
        self._store = store
        self._gossmap: Gossmap | None = None
        self._newest = -1
        """The store as it lies at its path now."""
        self._snapshots: dict[str, Sequence[Any]] = {}
        """Which channels and nodes there are: shared by all listings that begin before the map changes."""

    def close(self) -> None:
        """Let go of the store."""
        if self._gossmap is not None:
            self._gossmap.close()
            self._gossmap = None
        if self._newest >= 0:
            os.close(self._newest)
            self._newest = -1

    def begin(self, listing: MapListing, store_fd: int) -> Iterator[list[Entry]]:
        """The entries, in pieces of which each is made when it is asked for; `store_fd` is ours from now on.

        Raises OSError and StoreError if the store cannot be read, the pieces too.
        """
        if self._newest >= 0:
            os.close(self._newest)
        self._newest = store_fd
        gossmap = self._current()
        if listing.what == "nodes":
            return self._pieces(self._nodes(gossmap, listing), lambda node_id: _node(gossmap, node_id), listing.wanted)
        return self._pieces(
            self._channels(gossmap, listing), lambda scid: _directions(gossmap, scid, listing), listing.wanted
        )

    def _current(self) -> Gossmap:
        if self._gossmap is None:
            self._gossmap = Gossmap(self._store, lambda _: os.dup(self._newest))
        if self._gossmap.refresh():
            self._snapshots.clear()
        return self._gossmap

    def _nodes(self, gossmap: Gossmap, listing: MapListing) -> Sequence[bytes]:
        if listing.node_id is not None:
            return [listing.node_id]
        if "nodes" not in self._snapshots:
            self._snapshots["nodes"] = list(gossmap.index.nodes)
        return self._snapshots["nodes"]

    def _channels(self, gossmap: Gossmap, listing: MapListing) -> Sequence[int]:
        index, node_id = gossmap.index, listing.source or listing.destination
        if listing.short_channel_id is not None:
            return [listing.short_channel_id]
        if node_id is not None:
            row = index.nodes.get(node_id)
            return [] if row is None else [index.scid[channel] for channel in index.rows_of_node(row)]
        if "channels" not in self._snapshots:
            self._snapshots["channels"] = array("Q", index.channels)
        return self._snapshots["channels"]

    def _pieces(
        self, keys: Sequence[Any], entries: Callable[[Any], Iterator[Entry]], wanted: str
    ) -> Iterator[list[Entry]]:
        chosen = json.loads(wanted)
        for start in range(0, len(keys), PIECE):
            yield [apply_filter(entry, chosen) for key in keys[start : start + PIECE] for entry in entries(key)]


def _node(gossmap: Gossmap, node_id: bytes) -> Iterator[Entry]:
    node = gossmap.node(node_id)
    if node is not None:
        yield node_json(node)


def node_json(node: Node) -> dict[str, Any]:
    """CLN's fields; only `nodeid` for a node that has not announced itself."""
    fields: dict[str, Any] = {"nodeid": node.node_id.hex()}
    if node.timestamp is None:
        return fields
    return fields | {
        "last_timestamp": node.timestamp,
        "alias": node.alias,
        "color": node.color.hex(),
        "features": node.features.hex(),
        "addresses": [to_json(address) for address in node.addresses],
    }


def _directions(gossmap: Gossmap, scid: int, listing: MapListing) -> Iterator[Entry]:
    channel = gossmap.channel(scid)
    for number in (0, 1):
        direction = None if channel is None else channel.direction(number)
        if channel is None or direction is None:
            continue
        source, destination = channel.node_ids[number], channel.node_ids[1 - number]
        if listing.source in (None, source) and listing.destination in (None, destination):
            yield channel_json(channel, number, direction)


def channel_json(channel: Channel, number: int, direction: Direction) -> dict[str, Any]:
    """CLN's fields of one direction. Where the funding output was not looked up `unchecked` is there in the place of
    `amount_msat`."""
    fields: dict[str, Any] = {
        "source": channel.node_ids[number].hex(),
        "destination": channel.node_ids[1 - number].hex(),
        "short_channel_id": scid_to_text(channel.short_channel_id),
        "direction": number,
        "public": True,
        "message_flags": direction.message_flags,
        "channel_flags": direction.channel_flags,
        "active": not direction.disabled,
        "last_update": direction.timestamp,
        "base_fee_millisatoshi": direction.fee_base_msat,
        "fee_per_millionth": direction.fee_proportional_millionths,
        "delay": direction.cltv_expiry_delta,
        "htlc_minimum_msat": direction.htlc_minimum_msat,
        "htlc_maximum_msat": direction.htlc_maximum_msat,
        "features": channel.features.hex(),
    }
    if channel.capacity_sat:
        fields["amount_msat"] = channel.capacity_sat * 1000
    else:
        fields["unchecked"] = True
    return fields
