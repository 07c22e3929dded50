"""Where the fields of BOLT 7's gossip messages stand: for hot paths, which read them without decoding the rest.

The declarations in `wire.peer_wire` are the slow form, with which tests compare these. All integers are big-endian.
The functions take whole messages: of one that is cut before a field that they read they raise struct.error or
IndexError, or return less.
"""

from struct import Struct

CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, CHANNEL_UPDATE = 256, 257, 258
GOSSIP_TYPES = (CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, CHANNEL_UPDATE)
ANNOUNCEMENT_SIGNATURES_2 = 260
GOSSIP_2_TYPES = (267, 269, 271)
"""channel_announcement_2, node_announcement_2 and channel_update_2 of BOLTs' pull request 1059, whose records are in
`wire.gossip_v2`. They are odd; announcement_signatures_2 is even, so who says it to us loses the connection (B1-6)."""

U16, U32, U64 = Struct(">H"), Struct(">I"), Struct(">Q")

TYPE_SIZE, SIGNATURE_SIZE, KEY_SIZE, CHAIN_HASH_SIZE = 2, 64, 33, 32

# channel_update and node_announcement begin with type and signature:
SIGNED = TYPE_SIZE + SIGNATURE_SIZE
"""What their one signature is over begins here."""

# channel_announcement: type, four signatures, the features' length, features; then, from `channel_body` on:
CHANNEL_SIGNED = TYPE_SIZE + 4 * SIGNATURE_SIZE
"""What the four signatures are over begins here."""
CHANNEL_FEATURES = CHANNEL_SIGNED + 2
BODY_SCID = CHAIN_HASH_SIZE
"""Behind the chain_hash."""
BODY_KEYS = BODY_SCID + 8
BODY_SIZE = BODY_KEYS + 4 * KEY_SIZE
SIGNATURES = Struct("64s64s64s64s")
"""node_signature_1, node_signature_2, bitcoin_signature_1, bitcoin_signature_2, at TYPE_SIZE."""
KEYS = Struct("33s33s33s33s")
"""node_id_1, node_id_2, bitcoin_key_1, bitcoin_key_2, at BODY_KEYS."""
SCID_AND_NODES = Struct(">Q33s33s")
"""short_channel_id, node_id_1, node_id_2, at BODY_SCID."""

# channel_update
UPDATE_SCID = SIGNED + CHAIN_HASH_SIZE
UPDATE_TIMESTAMP = UPDATE_SCID + 8
UPDATE_MESSAGE_FLAGS = UPDATE_TIMESTAMP + 4
UPDATE_CHANNEL_FLAGS = UPDATE_MESSAGE_FLAGS + 1
UPDATE_MAXIMUM = UPDATE_CHANNEL_FLAGS + 1 + 2 + 8 + 4 + 4
"""htlc_maximum_msat, with which updates of before 2022 may do without."""
UPDATE_SIZE = UPDATE_MAXIMUM + 8
"""As BOLT 7 has it today; it may be longer."""
UPDATE_HEAD = Struct(">32sQIBB")
"""chain_hash, short_channel_id, timestamp, message_flags, channel_flags, at SIGNED."""
UPDATE_NEWS = Struct(">QIBB")
"""The same without the chain_hash, at UPDATE_SCID."""
UPDATE_POLICY = Struct(">IBBHQII")
"""timestamp, message_flags, channel_flags, cltv_expiry_delta, htlc_minimum_msat, fee_base_msat,
fee_proportional_millionths, at UPDATE_TIMESTAMP."""
UPDATE_POLICY_MAXIMUM = Struct(">IBBHQIIQ")
"""The same with htlc_maximum_msat."""
UPDATE_BODY = Struct(">32sQIBBHQIIQ")
"""All fields behind the signature, at SIGNED."""
DONT_FORWARD = 2
"""In message_flags."""
DIRECTION, DISABLED = 1, 2
"""In channel_flags."""

# node_announcement: type, signature, the features' length, features; then, from `node_body` on:
NODE_FEATURES = SIGNED + 2
BODY_NODE_ID = 4
"""Behind the timestamp."""
BODY_RGB = BODY_NODE_ID + KEY_SIZE
BODY_ALIAS = BODY_RGB + 3
BODY_ADDRLEN = BODY_ALIAS + 32
BODY_ADDRESSES = BODY_ADDRLEN + 2
TIMESTAMP_AND_NODE = Struct(">I33s")
"""timestamp and node_id, at `node_body`."""

# Queries, their answers and the filter begin with type and chain_hash.
CHAIN_HASH = slice(TYPE_SIZE, TYPE_SIZE + CHAIN_HASH_SIZE)
FILTER_SIZE = CHAIN_HASH.stop + 4 + 4
"""gossip_timestamp_filter: behind the chain_hash first_timestamp and timestamp_range."""
RANGE_REPLY_HEAD = CHAIN_HASH.stop + 4 + 4 + 1 + 2
"""reply_channel_range before its encoded_short_ids: behind the chain_hash first_blocknum, number_of_blocks,
sync_complete and their length."""


def channel_body(message: bytes) -> int:
    """Where a channel_announcement's chain_hash stands."""
    return CHANNEL_FEATURES + (message[CHANNEL_SIGNED] << 8 | message[CHANNEL_SIGNED + 1])


def channel_features(message: bytes) -> bytes:
    """The features of a channel_announcement, big-endian."""
    return message[CHANNEL_FEATURES : channel_body(message)]


def channel_scid(message: bytes) -> int:
    """The short_channel_id of a channel_announcement."""
    at = CHANNEL_FEATURES + BODY_SCID + (message[CHANNEL_SIGNED] << 8 | message[CHANNEL_SIGNED + 1])
    scid: int = U64.unpack_from(message, at)[0]
    return scid


def channel_keys(message: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """node_id_1, node_id_2, bitcoin_key_1 and bitcoin_key_2 of a channel_announcement, 33 bytes each."""
    first, second, third, fourth = KEYS.unpack_from(message, channel_body(message) + BODY_KEYS)
    return first, second, third, fourth


def channel_signatures(message: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """The four signatures of a channel_announcement, 64 bytes each, in the order of `channel_keys`."""
    first, second, third, fourth = SIGNATURES.unpack_from(message, TYPE_SIZE)
    return first, second, third, fourth


def signature_of(message: bytes) -> bytes:
    """The signature of a channel_update or node_announcement, 64 bytes."""
    return message[TYPE_SIZE:SIGNED]


def update_scid(message: bytes) -> int:
    """The short_channel_id of a channel_update."""
    scid: int = U64.unpack_from(message, UPDATE_SCID)[0]
    return scid


def update_timestamp(message: bytes) -> int:
    """The timestamp of a channel_update, unix seconds."""
    timestamp: int = U32.unpack_from(message, UPDATE_TIMESTAMP)[0]
    return timestamp


def update_direction(message: bytes) -> int:
    """0: said by the lesser node_id, 1: by the greater."""
    return message[UPDATE_CHANNEL_FLAGS] & DIRECTION


def undated(message: bytes) -> bytes | None:
    """What a message says whenever it is said: its type, and all but signatures and timestamp. None for what
    is no announcement and no update, or is cut before that is complete.
    """
    number, size = message[0] << 8 | message[1], len(message)
    if number == CHANNEL_UPDATE and size >= UPDATE_MESSAGE_FLAGS:
        return message[:TYPE_SIZE] + message[SIGNED:UPDATE_TIMESTAMP] + message[UPDATE_MESSAGE_FLAGS:]
    if number == CHANNEL_ANNOUNCEMENT and size >= CHANNEL_SIGNED:
        return message[:TYPE_SIZE] + message[CHANNEL_SIGNED:]
    if number == NODE_ANNOUNCEMENT and size >= NODE_FEATURES and size >= (at := node_body(message)) + BODY_NODE_ID:
        return message[:TYPE_SIZE] + message[SIGNED:at] + message[at + BODY_NODE_ID :]
    return None


def subject(message: bytes) -> tuple[int | None, int | None, bytes | None, int | None]:
    """short_channel_id, direction, node_id and timestamp of what a gossip message says; None what its type does not
    have, or what it is cut before.
    """
    number, size = message[0] << 8 | message[1], len(message)
    if number == CHANNEL_UPDATE and size > UPDATE_CHANNEL_FLAGS:
        return update_scid(message), update_direction(message), None, update_timestamp(message)
    if number == CHANNEL_ANNOUNCEMENT and size >= CHANNEL_FEATURES and size >= channel_body(message) + BODY_KEYS:
        return channel_scid(message), None, None, None
    if number == NODE_ANNOUNCEMENT and size >= NODE_FEATURES and size >= node_body(message) + BODY_RGB:
        return None, None, node_id_of(message), node_timestamp(message)
    return None, None, None, None


def update_content(message: bytes) -> bytes:
    """What a channel_update says but for its time: all without type, signature and timestamp."""
    return message[SIGNED:UPDATE_TIMESTAMP] + message[UPDATE_MESSAGE_FLAGS:]


def node_body(message: bytes) -> int:
    """Where a node_announcement's timestamp stands."""
    return NODE_FEATURES + (message[SIGNED] << 8 | message[SIGNED + 1])


def node_features(message: bytes) -> bytes:
    """The features of a node_announcement, big-endian."""
    return message[NODE_FEATURES : node_body(message)]


def node_timestamp(message: bytes) -> int:
    """The timestamp of a node_announcement, unix seconds."""
    timestamp: int = U32.unpack_from(message, node_body(message))[0]
    return timestamp


def node_id_of(message: bytes) -> bytes:
    """The node_id of a node_announcement, 33 bytes."""
    at = node_body(message) + BODY_NODE_ID
    return message[at : at + KEY_SIZE]


def node_addresses(message: bytes) -> bytes:
    """The address descriptors of a node_announcement; fewer if the message is cut within or before them."""
    at = node_body(message)
    length = int.from_bytes(message[at + BODY_ADDRLEN : at + BODY_ADDRESSES], "big")
    return message[at + BODY_ADDRESSES : at + BODY_ADDRESSES + length]
