"""Where the fields of BOLT 7's three gossip messages stand: for hot paths, which read them without decoding the rest.

The declarations in `wire.peer_wire` are the slow form, with which tests compare these. All integers are big-endian.
"""

from struct import Struct

CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, CHANNEL_UPDATE = 256, 257, 258
GOSSIP_TYPES = (CHANNEL_ANNOUNCEMENT, NODE_ANNOUNCEMENT, CHANNEL_UPDATE)

U16, U32, U64 = Struct(">H"), Struct(">I"), Struct(">Q")

SIGNATURE_SIZE, KEY_SIZE = 64, 33

# channel_announcement: type, four signatures, the features' length, features; then, from `channel_body` on:
CHANNEL_SIGNED = 2 + 4 * SIGNATURE_SIZE
"""What the four signatures are over begins here."""
CHANNEL_FEATURES = CHANNEL_SIGNED + 2
BODY_SCID = 32
"""Behind the chain_hash."""
BODY_KEYS = BODY_SCID + 8
BODY_SIZE = BODY_KEYS + 4 * KEY_SIZE
KEYS = Struct("33s33s33s33s")
"""node_id_1, node_id_2, bitcoin_key_1, bitcoin_key_2."""

# channel_update
UPDATE_SIGNED = 2 + SIGNATURE_SIZE
UPDATE_SCID = UPDATE_SIGNED + 32
UPDATE_TIMESTAMP = UPDATE_SCID + 8
UPDATE_MESSAGE_FLAGS = UPDATE_TIMESTAMP + 4
UPDATE_CHANNEL_FLAGS = UPDATE_MESSAGE_FLAGS + 1
UPDATE_SIZE = UPDATE_CHANNEL_FLAGS + 1 + 2 + 8 + 4 + 4 + 8
"""With htlc_maximum_msat, as BOLT 7 has it today; it may be longer."""
UPDATE_HEAD = Struct(">32sQIBB")
"""chain_hash, short_channel_id, timestamp, message_flags, channel_flags, at UPDATE_SIGNED."""
DONT_FORWARD = 2
"""In message_flags."""
DIRECTION, DISABLED = 1, 2
"""In channel_flags."""

# node_announcement: type, signature, the features' length, features; then, from `node_body` on:
NODE_SIGNED = 2 + SIGNATURE_SIZE
NODE_FEATURES = NODE_SIGNED + 2
BODY_NODE_ID = 4
"""Behind the timestamp."""
BODY_RGB = BODY_NODE_ID + KEY_SIZE
BODY_ALIAS = BODY_RGB + 3
BODY_ADDRLEN = BODY_ALIAS + 32
BODY_ADDRESSES = BODY_ADDRLEN + 2


def channel_body(message: bytes) -> int:
    """Where a channel_announcement's chain_hash stands. struct.error if the message is cut before its features."""
    return CHANNEL_FEATURES + int(U16.unpack_from(message, CHANNEL_SIGNED)[0])


def channel_scid(message: bytes) -> int:
    """The short_channel_id of a whole channel_announcement."""
    return int(U64.unpack_from(message, channel_body(message) + BODY_SCID)[0])


def channel_keys(message: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """node_id_1, node_id_2, bitcoin_key_1 and bitcoin_key_2 of a whole channel_announcement, 33 bytes each."""
    first, second, third, fourth = KEYS.unpack_from(message, channel_body(message) + BODY_KEYS)
    return first, second, third, fourth


def update_scid(message: bytes) -> int:
    """The short_channel_id of a channel_update."""
    return int(U64.unpack_from(message, UPDATE_SCID)[0])


def update_timestamp(message: bytes) -> int:
    """The timestamp of a channel_update, unix seconds."""
    return int(U32.unpack_from(message, UPDATE_TIMESTAMP)[0])


def update_direction(message: bytes) -> int:
    """0: said by the lesser node_id, 1: by the greater."""
    return message[UPDATE_CHANNEL_FLAGS] & DIRECTION


def node_body(message: bytes) -> int:
    """Where a node_announcement's timestamp stands. struct.error if the message is cut before its features."""
    return NODE_FEATURES + int(U16.unpack_from(message, NODE_SIGNED)[0])


def node_timestamp(message: bytes) -> int:
    """The timestamp of a whole node_announcement, unix seconds."""
    return int(U32.unpack_from(message, node_body(message))[0])


def node_id_of(message: bytes) -> bytes:
    """The node_id of a whole node_announcement, 33 bytes."""
    at = node_body(message) + BODY_NODE_ID
    return message[at : at + KEY_SIZE]
