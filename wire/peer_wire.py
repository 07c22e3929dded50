"""The messages of BOLT 1 and BOLT 7, with the spec's names and order of fields.

Of BOLT 2 and BOLT 4 only what routing a message needs: `wire.peer_types`.
"""

from typing import Annotated

from wire.address import WireAddr, is_hostname, read_descriptor, write_descriptor
from wire.cursor import Cursor, WireError
from wire.encoded import CHECKSUMS_CODEC, FLAGS_CODEC, TIMESTAMPS_CODEC, decode_short_ids, encode_short_ids
from wire.features import Features
from wire.message import BoltMessage, UnknownMessage
from wire.peer_types import ALL_CHANNELS, channel_id_of, is_channel_message, message_name
from wire.types import (
    BIGSIZE_CODEC,
    CHAIN_HASH_CODEC,
    U8,
    U16,
    U32,
    U64,
    Alias,
    Bytes,
    ChainHash,
    ChannelId,
    Codec,
    NotOurs,
    Point,
    RgbColor,
    ShortChannelId,
    Signature,
    Tlv,
    array,
)

__all__ = [
    "ALL_CHANNELS",
    "AnnouncementSignatures",
    "BoltMessage",
    "ChannelAnnouncement",
    "ChannelUpdate",
    "ErrorMessage",
    "GossipTimestampFilter",
    "Init",
    "NodeAnnouncement",
    "OnionMessage",
    "PeerStorage",
    "PeerStorageRetrieval",
    "Ping",
    "Pong",
    "QueryChannelRange",
    "QueryShortChannelIds",
    "ReplyChannelRange",
    "ReplyShortChannelIdsEnd",
    "UnknownMessage",
    "WarningMessage",
    "channel_id_of",
    "decode",
    "decode_short_ids",
    "encode_short_ids",
    "is_channel_message",
    "message_name",
    "printable",
]


def decode(raw: bytes) -> BoltMessage:
    """The message in `raw`, of the class that is declared for its type, or UnknownMessage. Raises WireError."""
    number = Cursor(raw).u16()
    return BoltMessage.registry.get(number, UnknownMessage).decode(raw)


def printable(data: bytes) -> str:
    """What a peer wrote, fit for a log: its text if it is printable ASCII, else its hex digits (B1-35)."""
    return data.decode("ascii") if all(32 <= byte <= 126 for byte in data) else data.hex()


def _read_remote_addr(cursor: Cursor) -> WireAddr:
    """The descriptor, if it is one to the last byte; a malformed one is no reason to part, and kept unread."""
    raw = cursor.rest()
    try:
        address = read_descriptor(Cursor(raw))
    except WireError as error:
        raise NotOurs from error
    if address is None or (address.kind == "dns" and not is_hostname(address.host)) or write_descriptor(address) != raw:
        raise NotOurs
    return address


REMOTE_ADDR_CODEC = Codec(_read_remote_addr, write_descriptor)


class Init(BoltMessage, number=16):
    """First message each way. `remote_addr` is where the sender sees us; one of a new kind, or a malformed
    one, stays in `extension`."""

    globalfeatures: Bytes
    features: Bytes
    networks: Annotated[list[bytes] | None, Tlv(1, array(CHAIN_HASH_CODEC))] = None
    remote_addr: Annotated[WireAddr | None, Tlv(3, REMOTE_ADDR_CODEC)] = None

    def all_features(self) -> Features:
        """Both bit maps in one (B1-27)."""
        return Features(self.globalfeatures) | Features(self.features)


class WarningMessage(BoltMessage, number=1):
    """Something is wrong, and nothing has to fail for it. A `channel_id` of zeros is the whole connection."""

    channel_id: ChannelId
    data: Bytes

    def text(self) -> str:
        """`data`, fit for a log (B1-35)."""
        return printable(self.data)


class ErrorMessage(BoltMessage, number=17):
    """The channel has failed, or with zeros as `channel_id` all of them (B1-31)."""

    channel_id: ChannelId
    data: Bytes

    def text(self) -> str:
        """`data`, fit for a log (B1-35)."""
        return printable(self.data)


class Ping(BoltMessage, number=18):
    """Wants a pong with `num_pong_bytes` bytes, or none from 65532 on (B1-37)."""

    num_pong_bytes: U16
    ignored: Bytes


class Pong(BoltMessage, number=19):
    """Answers a ping."""

    ignored: Bytes


class PeerStorage(BoltMessage, number=7):
    """A backup that the sender wants kept (B1-41)."""

    blob: Bytes


class PeerStorageRetrieval(BoltMessage, number=9):
    """The backup, given back after each `init` (B1-41)."""

    blob: Bytes


class ChannelAnnouncement(BoltMessage, number=256):
    """Both owners of a channel say that it is theirs. All four signatures are over what follows them (B7-57)."""

    node_signature_1: Signature
    node_signature_2: Signature
    bitcoin_signature_1: Signature
    bitcoin_signature_2: Signature
    features: Bytes
    chain_hash: ChainHash
    short_channel_id: ShortChannelId
    node_id_1: Point
    node_id_2: Point
    bitcoin_key_1: Point
    bitcoin_key_2: Point


class NodeAnnouncement(BoltMessage, number=257):
    """A node about itself. `addresses` are descriptors, for `wire.address.read_descriptors`."""

    signature: Signature
    features: Bytes
    timestamp: U32
    node_id: Point
    rgb_color: RgbColor
    alias: Alias
    addresses: Bytes


class ChannelUpdate(BoltMessage, number=258):
    """What one end of a channel asks for forwarding. Bit 0 of `channel_flags` is the direction, bit 1 `disable`."""

    signature: Signature
    chain_hash: ChainHash
    short_channel_id: ShortChannelId
    timestamp: U32
    message_flags: U8
    channel_flags: U8
    cltv_expiry_delta: U16
    htlc_minimum_msat: U64
    fee_base_msat: U32
    fee_proportional_millionths: U32
    htlc_maximum_msat: U64


class AnnouncementSignatures(BoltMessage, number=259):
    """From one end of a channel to the other, for the `channel_announcement` of both (B7-56)."""

    channel_id: ChannelId
    short_channel_id: ShortChannelId
    node_signature: Signature
    bitcoin_signature: Signature


class QueryShortChannelIds(BoltMessage, number=261):
    """Asks for what is known of these channels. `query_flags` has one number a channel, bits 0 to 4 (B7-91)."""

    chain_hash: ChainHash
    encoded_short_ids: Bytes
    query_flags: Annotated[list[int] | None, Tlv(1, FLAGS_CODEC)] = None


class ReplyShortChannelIdsEnd(BoltMessage, number=262):
    """That was all. `full_information` is 0 if the sender keeps no channels of that chain. BOLT 7."""

    chain_hash: ChainHash
    full_information: U8


class QueryChannelRange(BoltMessage, number=263):
    """Asks which channels a range of blocks has; `query_option` bit 0: timestamps, bit 1: checksums (B7-92)."""

    chain_hash: ChainHash
    first_blocknum: U32
    number_of_blocks: U32
    query_option: Annotated[int | None, Tlv(1, BIGSIZE_CODEC)] = None


class ReplyChannelRange(BoltMessage, number=264):
    """The channels of a part of the range; the TLVs have a pair a channel, one for each direction, 0 if unknown."""

    chain_hash: ChainHash
    first_blocknum: U32
    number_of_blocks: U32
    sync_complete: U8
    encoded_short_ids: Bytes
    timestamps_tlv: Annotated[list[tuple[int, int]] | None, Tlv(1, TIMESTAMPS_CODEC)] = None
    checksums_tlv: Annotated[list[tuple[int, int]] | None, Tlv(3, CHECKSUMS_CODEC)] = None


class GossipTimestampFilter(BoltMessage, number=265):
    """Wants gossip with a timestamp in [`first_timestamp`, `first_timestamp` + `timestamp_range`) (B7-96)."""

    chain_hash: ChainHash
    first_timestamp: U32
    timestamp_range: U32


class OnionMessage(BoltMessage, number=513):
    """An onion, and beside it the key by which its next hop is found. BOLT 4; what is in them: `wire.onion`."""

    path_key: Point
    onion_message_packet: Bytes

    @classmethod
    def name(cls) -> str:
        """The spec's name, which ends with the word."""
        return "onion_message"
