"""sim-ln's simulated network: the `sim_network` of its sim.json."""

import json
from typing import Any, TextIO

from gossipd.gossmap import Channel, Direction, Gossmap
from lightningd_py.export.ordered import channels

MOST_HTLCS = 483
"""BOLT 2's most HTLCs of a direction; gossip does not tell it."""


def sim_ln(gossmap: Gossmap, out: TextIO) -> None:
    """Channels of known capacity that both ends have said a fee for. The node_id is the alias: aliases must differ."""
    out.write('{"sim_network": [')
    written = 0
    for channel in channels(gossmap):
        first, second = channel.direction(0), channel.direction(1)
        if not channel.capacity_sat or first is None or second is None:
            continue
        out.write(
            (",\n" if written else "\n") + json.dumps(_channel(channel, channel.capacity_sat * 1000, first, second))
        )
        written += 1
    out.write("]}\n")


def _channel(channel: Channel, capacity_msat: int, first: Direction, second: Direction) -> dict[str, Any]:
    return {
        "scid": channel.short_channel_id,
        "capacity_msat": capacity_msat,
        "node_1": _policy(channel.node_ids[0], capacity_msat, first),
        "node_2": _policy(channel.node_ids[1], capacity_msat, second),
    }


def _policy(node_id: bytes, capacity_msat: int, update: Direction) -> dict[str, Any]:
    most = min(capacity_msat, update.htlc_maximum_msat or capacity_msat)
    return {
        "pubkey": node_id.hex(),
        "alias": node_id.hex(),
        "max_htlc_count": MOST_HTLCS,
        "max_in_flight_msat": capacity_msat,
        "min_htlc_size_msat": min(update.htlc_minimum_msat, most),
        "max_htlc_size_msat": most,
        "cltv_expiry_delta": update.cltv_expiry_delta,
        "base_fee": update.fee_base_msat,
        "fee_rate_prop": update.fee_proportional_millionths,
    }
