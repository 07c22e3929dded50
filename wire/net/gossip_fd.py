"""The gossip fd: how the gossip of a peer that another process owns flows between its owner and gossipd.

SEQPACKET, one raw BOLT message (its type first) a packet, both ways. gossipd writes nothing before the owner's first
packet, GOSSIP_START, so that an owner that never reads fills no buffer.

Gossip for which gossipd had no room is reduced to what it was about, which the owner says when there is room
(`GossipOwed`): a packet of type 0, which no BOLT message has, and longer than GOSSIP_START: flags (1: more than fits
was dropped), the number of channels (2 bytes), each channel's scid (8) and query_flags (1), and node_ids (33 each).
"""

import asyncio
import os
import socket
from collections.abc import Callable
from dataclasses import field
from struct import Struct
from typing import Self

from wire.crypto_state import MAX_MESSAGE
from wire.cursor import WireError
from wire.encoded import ALL, UPDATE_1, UPDATE_2
from wire.net.sockman import stamps
from wire.net.turns import MESSAGE_COST, QUANTUM
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement, decode
from wire.start.late_dataclass import dataclass

GOSSIP_START = b"\x00\x00"
"""The owner's first packet: it reads its end. Type 0 is no BOLT message."""

_PACKET = MAX_MESSAGE + 1
"""Bytes that are read of a packet: one that has so many is no message. Its writer may be any program."""
_ROOM_PER_TURN = 65_536
"""As in `wire.net.turns.QUANTUM`, where the turns are not shared."""

Turns = Callable[[Callable[[], None]], None]
"""Gets something to do, and does it in its turn (`wire.net.turns`)."""


def gossip_pair() -> tuple[socket.socket, int]:
    """gossipd's end, non-blocking, and the fd of the owner's end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    return ours, theirs.detach()


def drain(sock: socket.socket) -> list[bytes]:
    """All packets that wait at this end; bounded by the socket's buffer if the other end has stopped writing."""
    packets: list[bytes] = []
    while True:
        try:
            packet = sock.recv(_PACKET, socket.MSG_DONTWAIT)
        except ConnectionResetError:
            continue  # it closed with something of ours unread; said once, ahead of what it had written
        except BlockingIOError:
            return packets
        if not packet:
            return packets
        if len(packet) <= MAX_MESSAGE:
            packets.append(packet)


class GossipFd:
    """Either end of one, on the loop. `on_packet` gets each message, `on_room` tells of room."""

    def __init__(
        self,
        sock: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_packet: Callable[[bytes], None],
        on_room: Callable[[], None],
        on_end: Callable[[], None],
        in_turn: Turns | None = None,
    ) -> None:
        """With `in_turn` a quantum is read in each turn, else what is there."""
        self.started = False
        self.read_at_ns = 0
        """When the packet that was read last had been written, unix nanoseconds; 0 while that is not asked for."""
        self._stamps_reads = False
        self._in_turn = in_turn
        self._has_turn = False
        self._sock = sock
        self._loop = loop
        self._on_packet = on_packet
        self._on_room = on_room
        self._on_end = on_end
        self._waits_for_room = False
        self._reading = False
        self.resume()

    @property
    def closed(self) -> bool:
        """True after `close`."""
        return self._sock.fileno() < 0

    def stamp_reads(self, *, wanted: bool) -> None:
        """From now on `read_at_ns` is kept, or not any more."""
        self._stamps_reads, self.read_at_ns = wanted, 0
        if not self.closed:
            stamps.stamp(self._sock, wanted=wanted)

    def resume(self) -> None:
        """Read what the owner writes."""
        if not self._reading and self._sock.fileno() >= 0:
            self._reading = True
            self._loop.add_reader(self._sock.fileno(), self._readable)

    def pause(self) -> None:
        """Leave it in the socket for now; the owner finds no room after a while and keeps count of what it dropped."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._sock.fileno())

    def send(self, packet: bytes) -> bool:
        """Write one message; False if it does not fit now, and then `on_room` will be called once."""
        try:
            self._sock.send(packet)
        except BlockingIOError:
            if not self._waits_for_room:
                self._waits_for_room = True
                self._loop.add_writer(self._sock.fileno(), self._writable)
            return False
        except (ConnectionError, OSError):
            return True  # the owner has closed its end: the reader finds that out
        return True

    def close(self) -> list[bytes]:
        """Leave the loop, close, and return what the owner had written and we had not read."""
        if self._sock.fileno() < 0:
            return []
        self._leave_loop()
        left = [packet for packet in drain(self._sock) if packet != GOSSIP_START]
        self._sock.close()
        return left

    def detach(self) -> int:
        """Leave the loop: the fd is the caller's, with what was not read at it."""
        self._leave_loop()
        return self._sock.detach()

    def _leave_loop(self) -> None:
        self.pause()
        if self._waits_for_room:
            self._waits_for_room = False
            self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        if self._in_turn is None:
            self._read(_ROOM_PER_TURN)
        elif not self._has_turn:
            self._has_turn = True
            self._in_turn(self._read_quantum)

    def _read_quantum(self) -> None:
        self._has_turn = False
        self._read(QUANTUM)

    def _read(self, room: int) -> None:
        while self._reading and room > 0:
            try:
                packet = self._receive() if self._stamps_reads else self._sock.recv(_PACKET)
            except BlockingIOError:
                return
            except ConnectionError:
                packet = b""
            if not packet:
                self._on_end()
                return
            room -= len(packet) + MESSAGE_COST
            if packet == GOSSIP_START:
                self.started = True
                self._on_room()
            elif len(packet) <= MAX_MESSAGE:
                self._on_packet(packet)

    def _receive(self) -> bytes:
        packet, self.read_at_ns = stamps.receive(self._sock, _PACKET)
        return packet

    def _writable(self) -> None:
        self._waits_for_room = False
        self._loop.remove_writer(self._sock.fileno())
        self._on_room()


def close_returned(fd: int) -> list[bytes]:
    """The owner's end has come back: what gossipd had written and the owner had not read. Closes it.

    An owner may be any program, and what it returns another socket, or none at all: then there is nothing.
    """
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        os.close(fd)
        return []
    with sock:
        return drain(sock) if (sock.family, sock.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET) else []


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

    def merge(self, packet: bytes) -> None:
        """What another one has noted is owed, too. What is no such packet leaves nothing behind."""
        try:
            other = GossipOwed.decode(packet)
        except WireError:
            return
        for scid, flags in other.channels.items():
            self._note_channel(scid, flags)
        for node_id in other.nodes:
            self._note_node(node_id)
        self.overflowed |= other.overflowed

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
