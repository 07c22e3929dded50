"""What listnodes and listchannels say: CLN's fields, read from the gossip_store by a follower of its own.

gossipd is not asked and not kept waiting: the store is the interface.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gossipd.gossmap import Channel, Direction, Gossmap, Node
from wire.address import to_json
from wire.scid import scid_to_text


class Listings:
    """The map as JSON values. Opens the store when it is first asked. For any thread, one at a time gets in."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._gossmap: Gossmap | None = None
        self._in_use = threading.Lock()

    def close(self) -> None:
        """Let go of the store, when no thread reads it."""
        with self._in_use:
            if self._gossmap is not None:
                self._gossmap.close()
                self._gossmap = None

    def _current(self) -> Gossmap:
        if self._gossmap is None:
            self._gossmap = Gossmap(self._store)
        self._gossmap.refresh()
        return self._gossmap

    def nodes(self, node_id: bytes | None) -> list[dict[str, Any]]:
        """listnodes: one node, or all."""
        with self._in_use:
            gossmap = self._current()
            found = gossmap.nodes() if node_id is None else filter(None, [gossmap.node(node_id)])
            return [node_json(node) for node in found]

    def channels(
        self, scid: int | None = None, source: bytes | None = None, destination: bytes | None = None
    ) -> list[dict[str, Any]]:
        """listchannels: of one channel, from a node, to a node, or all; an entry for each direction that is known."""
        with self._in_use:
            return [
                entry
                for channel in _chosen(self._current(), scid, source or destination)
                for entry in _directions(channel)
                if source is None or entry["source"] == source.hex()
                if destination is None or entry["destination"] == destination.hex()
            ]


def _chosen(gossmap: Gossmap, scid: int | None, node_id: bytes | None) -> Iterator[Channel]:
    if scid is not None:
        return filter(None, iter([gossmap.channel(scid)]))
    return gossmap.channels() if node_id is None else gossmap.channels_of(node_id)


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


def _directions(channel: Channel) -> Iterator[dict[str, Any]]:
    for number in (0, 1):
        direction = channel.direction(number)
        if direction is not None:
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
