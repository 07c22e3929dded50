"""What listnodes and listchannels say: CLN's fields, read from the gossip_store piece by piece.

gossipd is not asked and not kept waiting: the store is the interface. A listing has what was on the map when it began
and still is when its turn comes, so that it may take as long as its reader does, and holds 8 bytes a channel.
"""

import json
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from gossipd.gossmap import Channel, Direction, Gossmap, Node
from lightningd_py.listingd import listings_v2
from lightningd_py.listingd.result_filter import apply_filter
from wire.address import to_json
from wire.control.control_wire import GOSSIP_V2, MapListing
from wire.gossip_layout import DISABLED
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
        chosen = json.loads(listing.wanted)
        if listing.what == GOSSIP_V2:
            return _gossip_v2(listing, store_fd, chosen)
        gossmap = self._current(store_fd)
        if listing.what == "nodes":
            found = (_nodes_at(gossmap, keys) for keys in _pieces(self._nodes(gossmap, listing)))
        else:
            channels = (_channels_at(gossmap, keys, listing) for keys in _pieces(self._channels(gossmap, listing)))
            found = ((entry for each in piece for entry in channel_json(*each)) for piece in channels)
        return ([apply_filter(entry, chosen) for entry in piece] for piece in found)

    def begin_text(self, listing: MapListing, store_fd: int) -> Iterator[list[str]]:
        """The same as JSON. Without a filter a direction is a line of text that is filled in: a third of what a dict of
        it costs, and its encoding, with whatever library."""
        if listing.what != "channels" or json.loads(listing.wanted) is not True:
            return ([json.dumps(entry) for entry in piece] for piece in self.begin(listing, store_fd))
        gossmap = self._current(store_fd)
        found = (_channels_at(gossmap, keys, listing) for keys in _pieces(self._channels(gossmap, listing)))
        return ([text for each in piece for text in channel_text(*each)] for piece in found)

    def _current(self, store_fd: int) -> Gossmap:
        if self._newest >= 0:
            os.close(self._newest)
        self._newest = store_fd
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


def _gossip_v2(listing: MapListing, store_fd: int, chosen: Any) -> Iterator[list[Entry]]:
    found = listings_v2.entries(store_fd, listing)
    pieces: Iterator[list[Entry]] = iter(lambda: list(islice(found, PIECE)), [])
    return ([apply_filter(entry, chosen) for entry in piece] for piece in pieces)


def _pieces(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (keys[start : start + PIECE] for start in range(0, len(keys), PIECE))


def _nodes_at(gossmap: Gossmap, node_ids: Sequence[bytes]) -> Iterator[Entry]:
    return (node_json(node) for node_id in node_ids if (node := gossmap.node(node_id)) is not None)


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


def _channels_at(
    gossmap: Gossmap, scids: Sequence[int], listing: MapListing
) -> Iterator[tuple[Channel, bytes, list[tuple[int, Direction]]]]:
    """Each with its features, and its directions that are listed, by their number."""
    is_whole = listing.source is listing.destination is None
    for channel in gossmap.channels_at(scids):
        directions = []
        for number in (0, 1):
            direction = channel.direction(number)
            if direction is not None and (is_whole or _is_wanted(listing, *channel.node_ids[:: -1 if number else 1])):
                directions.append((number, direction))
        if directions:
            yield channel, channel.features, directions


def _is_wanted(listing: MapListing, source: bytes, destination: bytes) -> bool:
    return listing.source in (None, source) and listing.destination in (None, destination)


def channel_json(
    channel: Channel, features: bytes, directions: Iterable[tuple[int, Direction]]
) -> Iterator[dict[str, Any]]:
    """CLN's fields of these directions. Where the funding output was not looked up `unchecked` is there in the place of
    `amount_msat`."""
    for number, direction in directions:
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
            "features": features.hex(),
        }
        if channel.capacity_sat:
            fields["amount_msat"] = channel.capacity_sat * 1000
        else:
            fields["unchecked"] = True
        yield fields


def channel_text(channel: Channel, features: bytes, directions: Iterable[tuple[int, Direction]]) -> Iterator[str]:
    """`channel_json` as JSON, letter by letter as json.dumps writes it: there is nothing to escape."""
    ids, scid = [node_id.hex() for node_id in channel.node_ids], scid_to_text(channel.short_channel_id)
    amount = f'"amount_msat": {channel.capacity_sat * 1000}' if channel.capacity_sat else '"unchecked": true'
    middle = f'", "short_channel_id": "{scid}", "direction": '
    end = f', "features": "{features.hex()}", {amount}}}'
    for number, direction in directions:
        timestamp, message_flags, channel_flags, delay, minimum, base_fee, per_millionth, maximum, _ = direction
        active, most = "false" if channel_flags & DISABLED else "true", "null" if maximum is None else maximum
        yield (
            f'{{"source": "{ids[number]}", "destination": "{ids[1 - number]}{middle}{number}, "public": true, '
            f'"message_flags": {message_flags}, "channel_flags": {channel_flags}, "active": {active}, '
            f'"last_update": {timestamp}, "base_fee_millisatoshi": {base_fee}, "fee_per_millionth": {per_millionth}, '
            f'"delay": {delay}, "htlc_minimum_msat": {minimum}, "htlc_maximum_msat": {most}{end}'
        )
