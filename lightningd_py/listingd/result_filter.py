"""CLN's `filter` of a result: which fields are left of it."""

from typing import Any

from wire.control.control_wire import GOSSIP_V2

_SCALAR = 0
_CHANNEL_FIELDS = (
    "source destination short_channel_id direction public message_flags channel_flags active last_update"
    " base_fee_millisatoshi fee_per_millionth delay htlc_minimum_msat htlc_maximum_msat features amount_msat unchecked"
)
_V2_FIELDS = (
    "type short_channel_id nodes capacity_msat outpoint features bitcoin_keys heard_from merkle_root_hash unchecked"
    " nodeid block_height alias color"
)
_V2_UPDATE_FIELDS = (
    "direction block_height active disable_flags base_fee_millisatoshi fee_per_millionth inbound_base_fee_millisatoshi"
    " inbound_fee_per_millionth delay htlc_minimum_msat htlc_maximum_msat heard_from"
)
_ADDRESS = dict.fromkeys(("type", "address", "port"), _SCALAR)
EXAMPLES: dict[str, dict[str, Any]] = {
    "channels": dict.fromkeys(_CHANNEL_FIELDS.split(), _SCALAR),
    "nodes": dict.fromkeys(("nodeid", "last_timestamp", "alias", "color", "features"), _SCALAR)
    | {"addresses": [_ADDRESS]},
    GOSSIP_V2: dict.fromkeys(_V2_FIELDS.split(), _SCALAR)
    | {"addresses": [_ADDRESS], "updates": [dict.fromkeys(_V2_UPDATE_FIELDS.split(), _SCALAR)]},
}
"""Of each listing an entry with every field: a filter that fits it fits all entries."""


def apply_filter(value: Any, wanted: Any) -> Any:
    """What is left of a result by CLN's `filter`: `{"peers": [{"id": true}]}` keeps the id of each peer.

    Raises ValueError for a filter that is none, or does not fit the result.
    """
    if wanted is True:
        return value
    if isinstance(wanted, dict) and isinstance(value, dict):
        return {key: apply_filter(value[key], inner) for key, inner in wanted.items() if key in value}
    if isinstance(wanted, list) and len(wanted) == 1 and isinstance(value, list):
        return [apply_filter(item, wanted[0]) for item in value]
    raise ValueError("the filter does not fit the result")
