"""What an owner says over the gossip fd of gossip for which gossipd had no room: what it was about, to be asked for.

A packet of type 0, which no BOLT message has, and longer than GOSSIP_START: flags (1: more than fits here was dropped),
the number of channels (2 bytes), each channel's scid (8) and query_flags (1), and then node_ids (33 each).
"""

from dataclasses import dataclass, field
from struct import Struct
from typing import Self

from wire.cursor import WireError
from wire.message import decode
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from wire.query_flags import ALL, UPDATE_1, UPDATE_2

MAX_CHANNELS, MAX_NODES = 4_000, 400
"""So a packet has 50 kB at most."""
NODE_ID_SIZE = 33

_HEAD = Struct(">HBH")
_CHANNEL = Struct(">QB")
_OVERFLOWED = 1


@dataclass(slots=True)
class GossipOwed:
    """Channels with the parts of each that are missing, in the bits of query_flags (B7-91), and nodes. Bounded."""

    channels: dict[int, int] = field(default_factory=dict)
    nodes: set[bytes] = field(default_factory=set)
    overflowed: bool = False

    def __bool__(self) -> bool:
        return bool(self.channels or self.nodes or self.overflowed)

    def note(self, message: bytes) -> None:
        """A gossip message of the peer's is dropped. What is malformed leaves nothing behind."""
        try:
            dropped = decode(message)
        except WireError:
            return
        match dropped:
            case ChannelAnnouncement(short_channel_id=scid):
                self._note_channel(scid, ALL)
            case ChannelUpdate(short_channel_id=scid, channel_flags=flags):
                self._note_channel(scid, UPDATE_2 if flags & 1 else UPDATE_1)
            case NodeAnnouncement(node_id=node_id):
                self._note_node(node_id)

    def _note_channel(self, scid: int, flags: int) -> None:
        if scid in self.channels or len(self.channels) < MAX_CHANNELS:
            self.channels[scid] = self.channels.get(scid, 0) | flags
        else:
            self.overflowed = True

    def _note_node(self, node_id: bytes) -> None:
        if len(self.nodes) < MAX_NODES:
            self.nodes.add(node_id)
        else:
            self.overflowed = True

    def encode(self) -> bytes:
        """The packet."""
        head = _HEAD.pack(0, _OVERFLOWED if self.overflowed else 0, len(self.channels))
        channels = b"".join(_CHANNEL.pack(scid, flags) for scid, flags in self.channels.items())
        return head + channels + b"".join(sorted(self.nodes))

    @classmethod
    def decode(cls, packet: bytes) -> Self:
        """Raises WireError for what is no such packet."""
        if not is_owed(packet) or len(packet) < _HEAD.size:
            raise WireError("no packet about gossip that is owed")
        _, flags, count = _HEAD.unpack_from(packet)
        nodes_at = _HEAD.size + count * _CHANNEL.size
        nodes, left = divmod(len(packet) - nodes_at, NODE_ID_SIZE)
        if nodes < 0 or left or count > MAX_CHANNELS or nodes > MAX_NODES:
            raise WireError("a packet about gossip that is owed has the wrong length")
        return cls(
            dict(_CHANNEL.iter_unpack(packet[_HEAD.size : nodes_at])),
            {packet[nodes_at + NODE_ID_SIZE * i :][:NODE_ID_SIZE] for i in range(nodes)},
            bool(flags & _OVERFLOWED),
        )


def is_owed(packet: bytes) -> bool:
    """Whether a packet that is no GOSSIP_START is one of these."""
    return packet[:2] == b"\0\0"
