"""Every message type of the BOLTs by number: its name, and where its channel_id stands. For routing and for logs."""

ALL_CHANNELS = bytes(32)
"""The channel_id of an `error` or `warning` that is about the whole connection (B1-31)."""

_CONTROL = {
    1: "warning",
    7: "peer_storage",
    9: "peer_storage_retrieval",
    16: "init",
    17: "error",
    18: "ping",
    19: "pong",
}

_CHANNEL = {
    2: "stfu",
    32: "open_channel",
    33: "accept_channel",
    34: "funding_created",
    35: "funding_signed",
    36: "channel_ready",
    38: "shutdown",
    39: "closing_signed",
    40: "closing_complete",
    41: "closing_sig",
    64: "open_channel2",
    65: "accept_channel2",
    66: "tx_add_input",
    67: "tx_add_output",
    68: "tx_remove_input",
    69: "tx_remove_output",
    70: "tx_complete",
    71: "tx_signatures",
    72: "tx_init_rbf",
    73: "tx_ack_rbf",
    74: "tx_abort",
    77: "splice_locked",
    80: "splice_init",
    81: "splice_ack",
    127: "start_batch",
    128: "update_add_htlc",
    130: "update_fulfill_htlc",
    131: "update_fail_htlc",
    132: "commitment_signed",
    133: "revoke_and_ack",
    134: "update_fee",
    135: "update_fail_malformed_htlc",
    136: "channel_reestablish",
    259: "announcement_signatures",
}
"""BOLT 2, and the one message of BOLT 7 that is about a channel of the two peers' own (B7-56)."""

_GOSSIP = {
    256: "channel_announcement",
    257: "node_announcement",
    258: "channel_update",
    261: "query_short_channel_ids",
    262: "reply_short_channel_ids_end",
    263: "query_channel_range",
    264: "reply_channel_range",
    265: "gossip_timestamp_filter",
    260: "announcement_signatures_2",
    267: "channel_announcement_2",
    269: "node_announcement_2",
    271: "channel_update_2",
}

_NAMES = _CONTROL | _CHANNEL | _GOSSIP | {513: "onion_message"}

# Bytes between the type and the channel_id: a chain_hash stands before the temporary_channel_id of an offer.
_CHANNEL_ID_AFTER = dict.fromkeys([1, 17, *_CHANNEL], 0) | {32: 32, 64: 32}


named = _NAMES.get
"""`open_channel`; None for a type that no BOLT has."""


def message_name(number: int) -> str:
    """`open_channel`, or `unknown_40001` for a type that no BOLT has."""
    return _NAMES.get(number, f"unknown_{number}")


def is_channel_message(number: int) -> bool:
    """Whether it is about a channel between us and the peer: BOLT 2, and all of 32 to 255, assigned or not."""
    return 32 <= number <= 255 or number in _CHANNEL


def channel_id_of(raw: bytes) -> bytes | None:
    """The channel_id or temporary_channel_id that a message is about, if its type has one and it is not too short."""
    # Hot: both ways of every message of a bus.
    before = _CHANNEL_ID_AFTER.get(raw[0] << 8 | raw[1]) if len(raw) > 1 else None
    if before is None or len(raw) < before + 34:
        return None
    return raw[before + 2 : before + 34]
