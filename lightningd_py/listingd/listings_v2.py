"""What listgossipv2 says, out of the file that gossipd keeps of gossip v2: channels with their updates, then nodes."""

from collections.abc import Iterator, Mapping
from typing import Any

from wire.address import to_json
from wire.control.control_wire import MapListing
from wire.gossip_v2.kept import NODE_ID_SIZE, SCID_SIZE, Key, Record, latest
from wire.gossip_v2.messages import OUTGOING, ChannelAnnouncement2, ChannelUpdate2, NodeAnnouncement2
from wire.scid import scid_to_text

Entry = dict[str, Any]


def entries(store_fd: int, listing: MapListing) -> Iterator[Entry]:
    """As narrow as `listing` is: a channel, what has to do with a node, or all. Raises OSError. Closes the fd."""
    with open(store_fd, "rb") as file:
        found = latest(file.read())
    return _entries(found, listing)


def _entries(found: Mapping[Key, Record], listing: MapListing) -> Iterator[Entry]:
    for key, record in found.items():
        if len(key) == SCID_SIZE and listing.short_channel_id in (None, int.from_bytes(key, "big")):
            yield from _channel(record, found, listing.node_id)
    if listing.short_channel_id is None:
        for key, record in found.items():
            if len(key) == NODE_ID_SIZE and listing.node_id in (None, key):
                yield _node(record)


def _channel(record: Record, found: Mapping[Key, Record], node_id: bytes | None) -> Iterator[Entry]:
    said = ChannelAnnouncement2.decode(record.message)
    nodes = [said.node_id_1, said.node_id_2]
    if node_id is not None and node_id not in nodes:
        return
    updates = [found.get(bytes([direction]) + record.key) for direction in (0, 1)]
    keys = said.bitcoin_keys
    fields: Entry = {
        "type": "channel",
        "short_channel_id": scid_to_text(said.short_channel_id),
        "nodes": [node.hex() for node in nodes],
        "capacity_msat": said.capacity_satoshis * 1000,
        "outpoint": f"{said.outpoint.txid[::-1].hex()}:{said.outpoint.vout}",
        "features": (said.features or b"").hex(),
        "bitcoin_keys": [key.hex() for key in keys or ()],
        "updates": [_update(update, said) for update in updates if update is not None],
        "heard_from": record.source,
    }
    if said.merkle_root_hash is not None:
        fields["merkle_root_hash"] = said.merkle_root_hash.hex()
    if not record.checked:
        fields["unchecked"] = True
    yield fields


def _update(record: Record, channel: ChannelAnnouncement2) -> Entry:
    said = ChannelUpdate2.decode(record.message)
    policy = said.policy(channel.capacity_satoshis)
    return {
        "direction": said.short_channel_id[0],
        "block_height": said.block_height,
        "active": not policy.disable_flags & OUTGOING,
        "disable_flags": policy.disable_flags,
        "base_fee_millisatoshi": policy.fee_base_msat,
        "fee_per_millionth": policy.fee_proportional_millionths,
        "inbound_base_fee_millisatoshi": policy.inbound_fee_base_msat,
        "inbound_fee_per_millionth": policy.inbound_fee_proportional_millionths,
        "delay": policy.cltv_expiry_delta,
        "htlc_minimum_msat": policy.htlc_minimum_msat,
        "htlc_maximum_msat": policy.htlc_maximum_msat,
        "heard_from": record.source,
    }


def _node(record: Record) -> Entry:
    said = NodeAnnouncement2.decode(record.message)
    return {
        "type": "node",
        "nodeid": said.node_id.hex(),
        "block_height": said.block_height,
        "alias": said.alias or "",
        "color": (said.color or b"").hex(),
        "features": said.features.hex(),
        "addresses": [to_json(address) for address in said.addresses()],
        "heard_from": record.source,
    }
