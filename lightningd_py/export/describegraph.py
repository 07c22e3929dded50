"""lnd's describegraph: its protojson with all fields, 64-bit numbers as strings, bytes in base64.

Nodes without an announcement are there as lnd has them: with their key and nothing else.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from gossipd.gossmap import Channel, Direction, Gossmap, Node
from lightningd_py.export.ordered import channels, nodes
from wire.cursor import Cursor, WireError, read_tlvs
from wire.features import Features
from wire.gossip_layout import UPDATE_SIZE, channel_signatures

INBOUND_FEES = 55555
"""lnd's TLV in a channel_update: two signed 32-bit numbers, base and millionths."""

FEATURES = {
    0: "data-loss-protect",
    2: "initial-routing-sync",
    4: "upfront-shutdown-script",
    6: "gossip-queries",
    8: "tlv-onion",
    12: "static-remote-key",
    14: "payment-addr",
    16: "multi-path-payments",
    18: "wumbo-channels",
    20: "anchor-commitments",
    22: "anchors-zero-fee-htlc-tx",
    24: "route-blinding",
    26: "shutdown-any-segwit",
    30: "amp",
    34: "quiescence",
    38: "onion-messages",
    44: "explicit-commitment-type",
    46: "scid-alias",
    48: "payment-metadata",
    50: "zero-conf",
    54: "keysend",
    60: "rbf-coop-close",
    80: "simple-taproot-chans",
    160: "rbf-coop-close-x",
    180: "simple-taproot-chans-x",
    260: "endorsement-x",
    262: "bolt-11-blinded-paths",
    2022: "script-enforced-lease",
    2024: "taproot-overlay-chans",
}
"""lnd's names, by the even bit of a pair. What is not here lnd does not know."""


def describegraph(gossmap: Gossmap, out: TextIO, chan_points: Mapping[int, str] | None = None) -> None:
    """As `lncli describegraph --include_auth_proof` prints it, in the order of node_ids and of short_channel_ids.

    `chan_points`: by scid; gossip does not tell the funding transaction. `chan_point` is "" where nothing is known.
    """
    points = chan_points or {}
    out.write('{"nodes": [')
    _joined(out, map(_node, nodes(gossmap)))
    out.write('], "edges": [')
    _joined(out, (_edge(channel, points.get(channel.short_channel_id, "")) for channel in channels(gossmap)))
    out.write("]}\n")


def _joined(out: TextIO, values: Iterable[dict[str, Any]]) -> None:
    for number, value in enumerate(values):
        out.write((",\n" if number else "\n") + json.dumps(value))


def _node(node: Node) -> dict[str, Any]:
    return {
        "last_update": node.timestamp or 0,
        "pub_key": node.node_id.hex(),
        "alias": node.alias,
        "addresses": [{"network": "tcp", "addr": str(address)} for address in node.addresses],
        "color": f"#{node.color.hex() or '000000'}",
        "features": {str(bit): _feature(bit) for bit in Features(node.features).bits()},
        "custom_records": {},
    }


def _feature(bit: int) -> dict[str, Any]:
    name = FEATURES.get(bit & ~1)
    return {"name": name or "unknown", "is_required": not bit % 2, "is_known": name is not None}


def _edge(channel: Channel, chan_point: str) -> dict[str, Any]:
    updates = [channel.direction(number) for number in (0, 1)]
    policies = [None if update is None else _policy(update) for update in updates]
    return {
        "channel_id": str(channel.short_channel_id),
        "chan_point": chan_point,
        "last_update": max([update.timestamp for update in updates if update is not None], default=0),
        "node1_pub": channel.node_ids[0].hex(),
        "node2_pub": channel.node_ids[1].hex(),
        "capacity": str(channel.capacity_sat or 0),
        "node1_policy": policies[0],
        "node2_policy": policies[1],
        "custom_records": {},
        "auth_proof": _proof(channel.announcement),
    }


def _proof(announcement: bytes) -> dict[str, str]:
    names = ("node_sig1", "node_sig2", "bitcoin_sig1", "bitcoin_sig2")
    signatures = channel_signatures(announcement)
    return {name: base64.b64encode(each).decode() for name, each in zip(names, signatures, strict=True)}


def _policy(update: Direction) -> dict[str, Any]:
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
