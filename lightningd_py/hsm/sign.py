"""What hsmd signs with the node key: digests that it makes itself, of messages that are what they are said to be.

BOLT 7 signs no type: the same bytes may be the end of one message and of another. So each right signs just its own
message, written as its declaration writes it: no byte behind the fields, a chain that is known, features that are no
longer than any feature bit needs. A channel_update begins with a chain hash, the others with the length of their
features, which is smaller than any chain hash; and a chain hash where a node_announcement has timestamp and node_id is
no node_id of ours. So there is one reading (`tests/lightningd_py/hsm/test_sign_rights.py` tries all pairs).

Each function raises ValueError, with the reason, for anything else.
"""

from typing import TypeVar

from wire.cursor import WireError
from wire.gossip_layout import CHANNEL_SIGNED, SIGNED
from wire.message import MAX_MESSAGE, BoltMessage
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode
from wire.secp256k1 import double_sha256, sign
from wire.types import NETWORKS

M = TypeVar("M", NodeAnnouncement, ChannelUpdate, ChannelAnnouncement)

SIGNED_FROM: dict[type[BoltMessage], int] = {
    NodeAnnouncement: SIGNED,
    ChannelUpdate: SIGNED,
    ChannelAnnouncement: CHANNEL_SIGNED,
}
"""Behind type and signatures begins what is signed. BOLT 7."""
MOST_FEATURES = 1250
"""Bytes: feature bits have four digits here. As a number less than the first two bytes of any chain hash."""


def node_announcement(key: bytes, node_id: bytes, message: bytes) -> bytes:
    """Of our own node only. The signature, compact."""
    announcement = _decoded(message, NodeAnnouncement)
    if announcement.node_id != node_id:
        raise ValueError("the node_announcement is of another node")
    _check_features(announcement.features)
    return _signature(key, message, NodeAnnouncement)


def channel_update(key: bytes, message: bytes) -> bytes:
    """Of any channel: which ones are ours is gossipd's business."""
    _check_chain(_decoded(message, ChannelUpdate).chain_hash)
    return _signature(key, message, ChannelUpdate)


def channel_announcement(key: bytes, node_id: bytes, message: bytes) -> bytes:
    """The node's half of one whose end we are; the bitcoin keys' signatures are the channel's."""
    announcement = _decoded(message, ChannelAnnouncement)
    if node_id not in (announcement.node_id_1, announcement.node_id_2):
        raise ValueError("the channel_announcement is of other nodes")
    _check_chain(announcement.chain_hash)
    _check_features(announcement.features)
    return _signature(key, message, ChannelAnnouncement)


def _decoded(message: bytes, kind: type[M]) -> M:
    if len(message) > MAX_MESSAGE:
        raise ValueError(f"it is malformed: {len(message)} bytes are more than a message has")
    try:
        decoded = decode(message)
    except WireError as error:
        raise ValueError(f"it is malformed: {error}") from error
    if not isinstance(decoded, kind):
        raise ValueError(f"it is no {kind.__name__}")
    if decoded.extension:
        raise ValueError(f"it is malformed: {len(decoded.extension)} bytes follow its fields")
    return decoded


def _check_chain(chain_hash: bytes) -> None:
    if chain_hash not in NETWORKS.values():
        raise ValueError(f"it is of no chain that is known: {chain_hash.hex()}")


def _check_features(features: bytes) -> None:
    if len(features) > MOST_FEATURES:
        raise ValueError(f"it has {len(features)} bytes of features")


def _signature(key: bytes, message: bytes, kind: type[BoltMessage]) -> bytes:
    return sign(key, double_sha256(message[SIGNED_FROM[kind] :]))
