"""The offsets of BOLT 7's gossip messages, against the declarations."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gossipd.messages import BITCOIN_KEYS, KEYS
from wire import gossip_layout as layout
from wire.encoded import encode_short_ids
from wire.peer_wire import (
    ChannelAnnouncement,
    ChannelUpdate,
    GossipTimestampFilter,
    NodeAnnouncement,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    ReplyShortChannelIdsEnd,
)

features = st.binary(max_size=300)
chains = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
flags = st.integers(0, 255)
u16 = st.integers(0, (1 << 16) - 1)
u32 = st.integers(0, (1 << 32) - 1)
u64 = st.integers(0, (1 << 64) - 1)
keys = st.sampled_from([public for _, public in [*KEYS, *BITCOIN_KEYS]])
extensions = st.binary(max_size=20).map(lambda value: b"\xfd\xff\xff" + bytes([len(value)]) + value)

announcements = st.tuples(signatures, signatures, signatures, signatures, features, chains, u64, keys, keys, keys, keys)
updates = st.tuples(signatures, chains, u64, u32, flags, flags, u16, u64, u32, u32, u64)
nodes = st.tuples(
    signatures,
    features,
    u32,
    keys,
    st.binary(min_size=3, max_size=3),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=60),
)


def number_of(raw: bytes) -> int:
    """The message's type."""
    return int.from_bytes(raw[: layout.TYPE_SIZE], "big")


@settings(max_examples=50)
@given(announcements, extensions)
def test_channel_announcement(
    fields: tuple[bytes, bytes, bytes, bytes, bytes, bytes, int, bytes, bytes, bytes, bytes], extension: bytes
) -> None:
    raw = ChannelAnnouncement(*fields, extension=extension).encode()
    bits, chain, scid, *four = fields[4:]
    at = layout.channel_body(raw)
    assert number_of(raw) == layout.CHANNEL_ANNOUNCEMENT == ChannelAnnouncement.number
    assert raw[layout.CHANNEL_FEATURES : at] == layout.channel_features(raw) == bits
    assert raw[at : at + layout.BODY_SCID] == chain
    assert layout.channel_scid(raw) == scid
    assert layout.channel_keys(raw) == layout.KEYS.unpack_from(raw, at + layout.BODY_KEYS) == tuple(four)
    assert layout.SCID_AND_NODES.unpack_from(raw, at + layout.BODY_SCID) == (scid, *four[:2])
    assert raw[at + layout.BODY_SIZE :] == extension
    assert layout.channel_signatures(raw) == fields[:4]
    assert raw[layout.TYPE_SIZE : layout.CHANNEL_SIGNED] == b"".join(fields[:4])


@settings(max_examples=50)
@given(updates, extensions)
def test_channel_update(
    fields: tuple[bytes, bytes, int, int, int, int, int, int, int, int, int], extension: bytes
) -> None:
    raw = ChannelUpdate(*fields, extension=extension).encode()
    signature, _, scid, timestamp, message_flags, channel_flags, *_, maximum = fields
    assert number_of(raw) == layout.CHANNEL_UPDATE == ChannelUpdate.number
    assert layout.signature_of(raw) == signature
    assert layout.UPDATE_HEAD.unpack_from(raw, layout.SIGNED) == fields[1:6]
    assert layout.UPDATE_NEWS.unpack_from(raw, layout.UPDATE_SCID) == fields[2:6]
    assert layout.UPDATE_POLICY.unpack_from(raw, layout.UPDATE_TIMESTAMP) == fields[3:10]
    assert layout.UPDATE_BODY.unpack_from(raw, layout.SIGNED) == fields[1:]
    assert layout.UPDATE_BODY.size == layout.UPDATE_SIZE - layout.SIGNED
    assert layout.U64.unpack_from(raw, layout.UPDATE_MAXIMUM) == (maximum,)
    assert (layout.update_scid(raw), layout.update_timestamp(raw)) == (scid, timestamp)
    assert layout.update_direction(raw) == channel_flags & layout.DIRECTION
    assert raw[layout.UPDATE_MESSAGE_FLAGS] == message_flags
    assert raw[layout.UPDATE_SIZE :] == extension


@given(updates, extensions, signatures, u32)
def test_content_of_an_update_is_all_but_signature_and_time(
    fields: tuple[bytes, bytes, int, int, int, int, int, int, int, int, int],
    extension: bytes,
    signature: bytes,
    timestamp: int,
) -> None:
    _, chain, scid, _, *others = fields
    raw = ChannelUpdate(*fields, extension=extension).encode()
    again = ChannelUpdate(signature, chain, scid, timestamp, *others, extension=extension).encode()
    assert layout.update_content(again) == layout.update_content(raw)
    assert len(layout.update_content(raw)) == len(raw) - layout.SIGNED - 4
    other = ChannelUpdate(signature, chain, scid ^ 1, timestamp, *others, extension=extension).encode()
    assert layout.update_content(other) != layout.update_content(raw)


@settings(max_examples=50)
@given(nodes, extensions)
def test_node_announcement(fields: tuple[bytes, bytes, int, bytes, bytes, bytes, bytes], extension: bytes) -> None:
    raw = NodeAnnouncement(*fields, extension=extension).encode()
    signature, bits, timestamp, node_id, rgb, alias, addresses = fields
    at = layout.node_body(raw)
    assert number_of(raw) == layout.NODE_ANNOUNCEMENT == NodeAnnouncement.number
    assert layout.signature_of(raw) == signature
    assert raw[layout.NODE_FEATURES : at] == layout.node_features(raw) == bits
    assert (layout.node_timestamp(raw), layout.node_id_of(raw)) == (timestamp, node_id)
    assert layout.TIMESTAMP_AND_NODE.unpack_from(raw, at) == (timestamp, node_id)
    assert raw[at + layout.BODY_NODE_ID : at + layout.BODY_RGB] == node_id
    assert raw[at + layout.BODY_RGB : at + layout.BODY_ALIAS] == rgb
    assert raw[at + layout.BODY_ALIAS : at + layout.BODY_ADDRLEN] == alias
    assert raw[at + layout.BODY_ADDRESSES :] == addresses + extension
    assert layout.node_addresses(raw) == addresses
    assert addresses.startswith(layout.node_addresses(raw[: at + layout.BODY_ADDRESSES + 5]))
    assert layout.node_addresses(raw[: at + layout.BODY_ADDRLEN]) == b""


@given(chains, u32, u32)
def test_queries_and_their_answers(chain: bytes, first: int, count: int) -> None:
    nothing = encode_short_ids([])
    heard = GossipTimestampFilter(chain, first, count).encode()
    reply = ReplyChannelRange(chain, first, count, 1, nothing).encode()
    for raw in (
        heard,
        reply,
        QueryShortChannelIds(chain, nothing).encode(),
        ReplyShortChannelIdsEnd(chain, 1).encode(),
        QueryChannelRange(chain, first, count).encode(),
    ):
        assert raw[layout.CHAIN_HASH] == chain
    assert len(heard) == layout.FILTER_SIZE
    assert reply[layout.RANGE_REPLY_HEAD :] == nothing


def test_types() -> None:
    assert set(layout.GOSSIP_TYPES) == {ChannelAnnouncement.number, NodeAnnouncement.number, ChannelUpdate.number}
