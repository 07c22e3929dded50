"""Writes made-up gossip into a store and its index as gossipd does, for tests of what becomes of it there."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gossipd.gossmap import Gossmap
from gossipd.map.forget import Forgetting
from gossipd.map.gone import Gone
from gossipd.map.loading import load
from gossipd.store.records import amount_message
from gossipd.store.writer import GossipStore
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, NodeAnnouncement
from wire.scid import make_scid
from wire.types import NETWORKS

CHAIN = NETWORKS["regtest"]


@dataclass
class MapAround:
    """What the rooms of the map see of a daemon; a test says what it wants to hear of."""

    now: Callable[[], float] = lambda: 0.0
    clock: Callable[[], float] = lambda: 0.0
    say_own: Callable[[list[bytes]], None] = lambda messages: None
    disk_changed: Callable[[], None] = lambda: None
    records_moved: Callable[[Callable[[int], int]], None] = lambda place: None


Content = dict[str, tuple[bytes, ...]]
"""What a map holds: raw messages by channel or node."""


def node_id(node: int) -> bytes:
    """No point of the curve, and it is not looked at here."""
    return b"\2" + bytes(31) + bytes([node])


def scid(channel: int) -> int:
    return make_scid(100 + channel, 1, 0)


def channel_announcement(short_channel_id: int, node_id_1: bytes, node_id_2: bytes) -> bytes:
    """With blank signatures."""
    blank, key = bytes(64), b"\3" * 33
    message = ChannelAnnouncement(
        blank, blank, blank, blank, b"", CHAIN, short_channel_id, node_id_1, node_id_2, key, key
    )
    return message.encode()


class Writer:
    """A store, its index and what forgets. Channels and nodes are small numbers; nothing is flushed by itself."""

    def __init__(self, path: Path, gone: Gone | None = None) -> None:
        self.store, self.index = load(path)
        self.forgetting = Forgetting(self.store, self.index, gone or Gone())

    def channel(self, channel: int, one: int, two: int, timestamp: int = 0) -> int:
        """A channel_announcement with its amount; its offset."""
        first, second = sorted((node_id(one), node_id(two)))
        raw = channel_announcement(scid(channel), first, second)
        offset = self.store.append(raw, timestamp)
        row = self.index.add_channel(scid(channel), first, second, offset)
        self.store.append(amount_message(1000 + channel), 0)
        self.index.amount_sat[row] = 1000 + channel
        self.forgetting.channel_written(row)
        return offset

    def update(self, channel: int, direction: int, timestamp: int) -> int:
        """A channel_update, which replaces the last one; its offset."""
        raw = ChannelUpdate(bytes(64), CHAIN, scid(channel), timestamp, 1, direction, 6, 1, 1, 1, 1).encode()
        offset = self.store.append(raw, timestamp)
        row = self.index.channels[scid(channel)]
        if old := self.index.set_update(row, direction, offset, timestamp):
            self.store.mark_deleted(old)
        self.forgetting.update_written(row, offset, is_first=not old and not self.index.update_off[1 - direction][row])
        return offset

    def node(self, node: int, timestamp: int) -> int:
        """A node_announcement, which replaces the last one; its offset."""
        raw = NodeAnnouncement(bytes(64), b"", timestamp, node_id(node), b"rgb", bytes(32), b"").encode()
        offset = self.store.append(raw, timestamp)
        row = self.index.nodes[node_id(node)]
        if old := self.index.set_node_announcement(row, offset, timestamp):
            self.store.mark_deleted(old)
        self.forgetting.node_written(row, offset)
        return offset

    def full_channel(self, channel: int, one: int, two: int, timestamp: int) -> None:
        """Announcement and both updates."""
        self.channel(channel, one, two, timestamp)
        for direction in (0, 1):
            self.update(channel, direction, timestamp)

    def content(self) -> Content:
        """By the index, through its offsets."""
        index = self.index
        content: Content = {}
        for number, row in index.channels.items():
            offsets = (index.announce_off[row], index.update_off[0][row], index.update_off[1][row])
            marks = (b"%d" % index.amount_sat[row], b"%d" % index.dying.get(number, (0, 0))[0])
            content[f"channel {number}"] = (*map(self._read, offsets), *marks)
        for key, row in index.nodes.items():
            content[f"node {key.hex()}"] = (self._read(index.node_announce_off[row]),)
        return content

    def _read(self, offset: int) -> bytes:
        return self.store.read(offset) if offset else b""

    def close(self) -> None:
        self.store.close()


def content_at(path: Path) -> Content:
    """What a daemon that opens the store finds."""
    writer = Writer(path)
    try:
        return writer.content()
    finally:
        writer.close()


def content_of(gossmap: Gossmap) -> Content:
    """What a follower sees."""
    channels = {}
    for channel in gossmap.channels():
        updates = [half.raw if (half := channel.direction(number)) else b"" for number in (0, 1)]
        marks = (b"%d" % (channel.capacity_sat or 0), b"%d" % (channel.dying_at or 0))
        channels[f"channel {channel.short_channel_id}"] = (channel.announcement, *updates, *marks)
    return channels | {f"node {node.node_id.hex()}": (node.announcement,) for node in gossmap.nodes()}


def live_messages(store: GossipStore, start: int = 1) -> list[tuple[bytes, int, int]]:
    """(message, timestamp, flags) of the gossip from that offset on that is not deleted."""
    records, end = store.scan(start, store.end)
    assert end == store.end
    return [(raw, timestamp, flags) for flags, timestamp, kind, raw, _ in records if kind < 4000 or kind == 4106]
