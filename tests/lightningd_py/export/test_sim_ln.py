"""sim-ln's network: what its parser wants of each channel, and that no value is one it would refuse."""

import io
import json

from gossipd.gossmap import Gossmap
from lightningd_py.export.sim_ln import sim_ln

POLICY = {
    "pubkey",
    "alias",
    "max_htlc_count",
    "max_in_flight_msat",
    "min_htlc_size_msat",
    "max_htlc_size_msat",
    "cltv_expiry_delta",
    "base_fee",
    "fee_rate_prop",
}


def test_channels_that_can_be_simulated(odd: Gossmap) -> None:
    out = io.StringIO()
    sim_ln(odd, out)
    network = json.loads(out.getvalue())["sim_network"]
    whole = [c for c in odd.channels() if c.capacity_sat and all(map(c.direction, (0, 1)))]
    assert [channel["scid"] for channel in network] == sorted(channel.short_channel_id for channel in whole)
    assert len(network) == 17, "three lack an update, or a known capacity"
    for channel in network:
        known = odd.channel(channel["scid"])
        assert known is not None and channel["capacity_msat"] == (known.capacity_sat or 0) * 1000
        for number, name in enumerate(("node_1", "node_2")):
            policy, update = channel[name], known.direction(number)
            assert update is not None and policy.keys() == POLICY
            assert policy["pubkey"] == policy["alias"] == known.node_ids[number].hex()
            assert policy["min_htlc_size_msat"] <= policy["max_htlc_size_msat"] <= policy["max_in_flight_msat"]
            assert policy["max_in_flight_msat"] <= channel["capacity_msat"]
            assert (policy["base_fee"], policy["fee_rate_prop"]) == (
                update.fee_base_msat,
                update.fee_proportional_millionths,
            )
