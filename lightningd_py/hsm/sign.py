"""What hsmd signs with the node key: digests that it makes itself, of messages that are what they are said to be.

Each function raises ValueError, with the reason, for anything else.
"""

from typing import TypeVar

from wire.cursor import WireError
from wire.message import MAX_MESSAGE, PeerMessage, decode
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from wire.secp256k1 import double_sha256, sign

M = TypeVar("M", bound=PeerMessage)

SIGNED_FROM: dict[type[PeerMessage], int] = {NodeAnnouncement: 66, ChannelUpdate: 66, ChannelAnnouncement: 258}
"""Behind type and signatures begins what is signed. BOLT 7."""


def node_announcement(key: bytes, node_id: bytes, message: bytes) -> bytes:
    """Of our own node only. The signature, compact."""
    if _decoded(message, NodeAnnouncement).node_id != node_id:
        raise ValueError("the node_announcement is of another node")
    return _signature(key, message, NodeAnnouncement)


def channel_update(key: bytes, message: bytes) -> bytes:
    """Of any channel: which ones are ours is gossipd's business."""
    _decoded(message, ChannelUpdate)
    return _signature(key, message, ChannelUpdate)


def channel_announcement(key: bytes, node_id: bytes, message: bytes) -> bytes:
    """The node's half of one whose end we are; the bitcoin keys' signatures are the channel's."""
    announcement = _decoded(message, ChannelAnnouncement)
    if node_id not in (announcement.node_id_1, announcement.node_id_2):
        raise ValueError("the channel_announcement is of other nodes")
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
    return decoded


def _signature(key: bytes, message: bytes, kind: type[PeerMessage]) -> bytes:
    return sign(key, double_sha256(message[SIGNED_FROM[kind] :]))
