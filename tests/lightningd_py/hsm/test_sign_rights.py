"""No right of hsmd's is another one in disguise: BOLT 7 signs no type, so each pair of rights and messages is tried.

The node's key is at hand here, so what an attacker has to find by chance (a chain hash that is our node_id) is given.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.hsm import sign
from lightningd_py.hsm.signmessage import PREFIX, digest_of
from tests.gossipd.messages import CHAIN, KEYS, SIGNATURE
from wire.cursor import WireError
from wire.message import BoltMessage
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode
from wire.secp256k1 import double_sha256, verify
from wire.types import NETWORKS

SIGNATURES = (SIGNATURE, SIGNATURE, SIGNATURE, SIGNATURE)
SECRET, NODE_ID = KEYS[0]
OTHER = KEYS[1][1]

RIGHTS: dict[type[BoltMessage], Callable[[bytes], bytes]] = {
    NodeAnnouncement: lambda raw: sign.node_announcement(SECRET, NODE_ID, raw),
    ChannelUpdate: lambda raw: sign.channel_update(SECRET, raw),
    ChannelAnnouncement: lambda raw: sign.channel_announcement(SECRET, NODE_ID, raw),
}
KINDS = list(RIGHTS)

small = st.binary(max_size=40)
features = st.one_of(small, st.integers(0, 1300).map(bytes))
chains = st.one_of(st.sampled_from(list(NETWORKS.values())), st.binary(min_size=32, max_size=32))
extension = st.one_of(st.just(b""), st.binary(max_size=300))


def fixed(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def uint(size: int) -> st.SearchStrategy[int]:
    return st.integers(0, (1 << 8 * size) - 1)


points = st.one_of(st.sampled_from([NODE_ID, OTHER]), fixed(32).map(lambda x: b"\x02" + x))

node_announcements = st.builds(
    NodeAnnouncement, st.just(SIGNATURE), features, uint(4), points, fixed(3), fixed(32), small, extension=extension
)
updates = st.builds(
    ChannelUpdate,
    st.just(SIGNATURE),
    chains,
    uint(8),
    uint(4),
    uint(1),
    uint(1),
    uint(2),
    uint(8),
    uint(4),
    uint(4),
    uint(8),
    extension=extension,
)
announcements = st.builds(
    ChannelAnnouncement,
    *[st.just(SIGNATURE)] * 4,
    features,
    chains,
    uint(8),
    points,
    points,
    points,
    points,
    extension=extension,
)
messages: st.SearchStrategy[BoltMessage] = st.one_of(node_announcements, updates, announcements)


def signed_part(message: BoltMessage) -> bytes:
    return message.encode()[sign.SIGNED_FROM[type(message)] :]


def dressed_as(kind: type[BoltMessage], signed: bytes) -> bytes:
    """A message of another kind, of which the same bytes are signed."""
    return kind.number.to_bytes(2, "big") + bytes(sign.SIGNED_FROM[kind] - 2) + signed


def is_ours(message: BoltMessage) -> bool:
    """What a stranger would take for this node's word, whatever follows its fields."""
    match message:
        case NodeAnnouncement():
            return message.node_id == NODE_ID
        case ChannelAnnouncement():
            keys = (message.node_id_1, message.node_id_2, message.bitcoin_key_1, message.bitcoin_key_2)
            return message.chain_hash in NETWORKS.values() and NODE_ID in keys
        case ChannelUpdate():
            return message.chain_hash in NETWORKS.values()
    raise AssertionError(message)


def readings(signed: bytes) -> set[type[BoltMessage]]:
    """The kinds as which a lenient reader takes the bytes: one that ignores what it does not know at the end."""
    found = set()
    for kind in KINDS:
        try:
            message = decode(dressed_as(kind, signed))
        except WireError:
            continue
        if is_ours(message):
            found.add(kind)
    return found


@given(messages, st.sampled_from(KINDS))
def test_what_a_right_signs_has_one_reading(message: BoltMessage, right: type[BoltMessage]) -> None:
    """`message` in the dress of any kind, put before the right of any kind."""
    signed = signed_part(message)
    try:
        signature = RIGHTS[right](dressed_as(right, signed))
    except ValueError:
        return
    assert verify(double_sha256(signed), signature, NODE_ID)
    assert readings(signed) == {right}


def node_in_an_update() -> bytes:
    """A node_announcement of ours whose features begin as a chain that is none: an update with much behind it."""
    return signed_part(NodeAnnouncement(SIGNATURE, bytes(70), 0xFFFFFFFF, NODE_ID, bytes(3), bytes(32), b""))


def node_in_a_channel() -> bytes:
    """A node_announcement of ours: its timestamp and node_id as chain hash, its alias and addresses as our node_ids."""
    head = b"\0\0" + b"\xff\xff\xff\xff" + NODE_ID + b"\1\2\3"
    node_id_1 = b"\x02" + b"any alias".ljust(31) + b"\0"  # with the first byte of the addresses' length
    return head + node_id_1 + NODE_ID + b"\x02" * 33 + b"\x02" * 33


def channel_in_an_update() -> bytes:
    return signed_part(ChannelAnnouncement(*SIGNATURES, b"", CHAIN, 1, NODE_ID, OTHER, b"\x02" * 33, b"\x02" * 33))


def update_in_a_channel() -> bytes:
    """A disabling channel_update of regtest, as the features of a channel_announcement."""
    update = signed_part(ChannelUpdate(SIGNATURE, CHAIN, 1, 0xFFFFFFFF, 1, 2, 40, 1, 1, 1, 1))
    size = int.from_bytes(update[:2], "big")
    features_ = update[2:].ljust(size, b"\0")
    return signed_part(
        ChannelAnnouncement(*SIGNATURES, features_, CHAIN, 1, NODE_ID, OTHER, b"\x02" * 33, b"\x02" * 33)
    )


@pytest.mark.parametrize(
    ("right", "signed"),
    [
        (ChannelUpdate, node_in_an_update()),
        (ChannelAnnouncement, node_in_a_channel()),
        (ChannelUpdate, channel_in_an_update()),
        (ChannelAnnouncement, update_in_a_channel()),
        (NodeAnnouncement, update_in_a_channel()),
    ],
    ids=["node as update", "node as channel", "channel as update", "update as channel", "update as node"],
)
def test_a_message_in_the_dress_of_another(right: type[BoltMessage], signed: bytes) -> None:
    with pytest.raises(ValueError):
        RIGHTS[right](dressed_as(right, signed))


@pytest.mark.parametrize("right", KINDS)
def test_nothing_may_follow(right: type[BoltMessage]) -> None:
    good = {
        NodeAnnouncement: NodeAnnouncement(SIGNATURE, b"", 1, NODE_ID, bytes(3), bytes(32), b""),
        ChannelUpdate: ChannelUpdate(SIGNATURE, CHAIN, 1, 1, 1, 0, 40, 1, 1, 1, 1),
        ChannelAnnouncement: ChannelAnnouncement(
            *SIGNATURES, b"", CHAIN, 1, NODE_ID, OTHER, b"\x02" * 33, b"\x02" * 33
        ),
    }[right]
    assert RIGHTS[right](good.encode())
    with pytest.raises(ValueError, match="1 bytes follow"):
        RIGHTS[right](good.encode() + b"\0")


@pytest.mark.parametrize("chain", [bytes(32), b"\xff" * 32])
def test_an_unknown_chain(chain: bytes) -> None:
    update = ChannelUpdate(SIGNATURE, chain, 1, 1, 1, 0, 40, 1, 1, 1, 1)
    channel = ChannelAnnouncement(*SIGNATURES, b"", chain, 1, NODE_ID, OTHER, b"\x02" * 33, b"\x02" * 33)
    for message in (update, channel):
        with pytest.raises(ValueError, match="of no chain that is known"):
            RIGHTS[type(message)](message.encode())


def test_features_have_a_bound_below_any_chain_hash() -> None:
    most = bytes([1]) * sign.MOST_FEATURES
    message = NodeAnnouncement(SIGNATURE, most, 1, NODE_ID, bytes(3), bytes(32), b"")
    assert RIGHTS[NodeAnnouncement](message.encode())
    message.features += b"\1"
    with pytest.raises(ValueError, match="1251 bytes of features"):
        RIGHTS[NodeAnnouncement](message.encode())
    assert all(int.from_bytes(chain[:2], "big") > sign.MOST_FEATURES for chain in NETWORKS.values())


@given(st.integers(0, 300), st.one_of(node_announcements, announcements))
def test_a_signed_text_is_no_gossip(beyond: int, message: BoltMessage) -> None:
    """The prefix of signed texts reads as the length of features: 19,561 bytes, which a text may have."""
    size = int.from_bytes(PREFIX[:2], "big")
    behind = signed_part(message)
    text = bytes(size + 2 - len(PREFIX)) + behind[2 + int.from_bytes(behind[:2], "big") :]
    if is_ours(message):
        with pytest.raises(ValueError, match="can be read as a"):
            digest_of(text)
    assert digest_of(text[: size - beyond])
