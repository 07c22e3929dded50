"""The offsets of BOLT 7's gossip messages, against the declarations."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gossipd.messages import BITCOIN_KEYS, KEYS
from wire import gossip_layout as layout
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement

features = st.binary(max_size=300)
chains = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=64, max_size=64)
scids = st.integers(0, (1 << 64) - 1)
u32 = st.integers(0, (1 << 32) - 1)
keys = st.sampled_from([public for _, public in [*KEYS, *BITCOIN_KEYS]])
four_signatures, four_keys = (st.lists(each, min_size=4, max_size=4) for each in (signatures, keys))
colors = st.binary(min_size=3, max_size=3)
extensions = st.binary(max_size=20).map(lambda value: b"\xfd\xff\xff" + bytes([len(value)]) + value)


@settings(max_examples=50)
@given(
    st.lists(signatures, min_size=4, max_size=4),
    features,
    chains,
    scids,
    st.lists(keys, min_size=4, max_size=4),
    extensions,
)
def test_channel_announcement(
    signed: list[bytes], bits: bytes, chain: bytes, scid: int, four: list[bytes], extension: bytes
) -> None:
    raw = ChannelAnnouncement(*signed, bits, chain, scid, *four, extension=extension).encode()
    at = layout.channel_body(raw)
    assert int.from_bytes(raw[:2], "big") == layout.CHANNEL_ANNOUNCEMENT == ChannelAnnouncement.number
    assert raw[layout.CHANNEL_SIGNED + 2 : at] == bits
    assert raw[at : at + layout.BODY_SCID] == chain
    assert layout.channel_scid(raw) == scid
    assert layout.channel_keys(raw) == tuple(four)
    assert raw[at + layout.BODY_SIZE :] == extension
    assert raw[2 : layout.CHANNEL_SIGNED] == b"".join(signed)


@settings(max_examples=50)
@given(signatures, chains, scids, u32, st.integers(0, 255), st.integers(0, 255), extensions)
def test_channel_update(
    signature: bytes, chain: bytes, scid: int, timestamp: int, message_flags: int, channel_flags: int, extension: bytes
) -> None:
    update = ChannelUpdate(
        signature, chain, scid, timestamp, message_flags, channel_flags, 6, 1, 2, 3, 4, extension=extension
    )
    raw = update.encode()
    assert int.from_bytes(raw[:2], "big") == layout.CHANNEL_UPDATE == ChannelUpdate.number
    assert raw[2 : layout.UPDATE_SIGNED] == signature
    head = layout.UPDATE_HEAD.unpack_from(raw, layout.UPDATE_SIGNED)
    assert head == (chain, scid, timestamp, message_flags, channel_flags)
    assert (layout.update_scid(raw), layout.update_timestamp(raw)) == (scid, timestamp)
    assert layout.update_direction(raw) == channel_flags & 1
    assert raw[layout.UPDATE_MESSAGE_FLAGS] == message_flags
    assert raw[layout.UPDATE_SIZE :] == extension


@settings(max_examples=50)
@given(
    signatures,
    features,
    u32,
    keys,
    st.binary(min_size=3, max_size=3),
    st.binary(min_size=32, max_size=32),
    st.binary(max_size=60),
)
def test_node_announcement(
    signature: bytes, bits: bytes, timestamp: int, node_id: bytes, rgb: bytes, alias: bytes, addresses: bytes
) -> None:
    raw = NodeAnnouncement(signature, bits, timestamp, node_id, rgb, alias, addresses).encode()
    at = layout.node_body(raw)
    assert int.from_bytes(raw[:2], "big") == layout.NODE_ANNOUNCEMENT == NodeAnnouncement.number
    assert raw[layout.NODE_FEATURES : at] == bits
    assert (layout.node_timestamp(raw), layout.node_id_of(raw)) == (timestamp, node_id)
    assert raw[at + layout.BODY_RGB : at + layout.BODY_ALIAS] == rgb
    assert raw[at + layout.BODY_ALIAS : at + layout.BODY_ADDRLEN] == alias
    assert raw[at + layout.BODY_ADDRESSES :] == addresses
