"""A small map that is always the same, and stores that hold some of it or all."""

from pathlib import Path

from gossipd.store.records import amount_message
from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SignedChannel, SyntheticMap, random_edges
from wire.peer_wire import ChannelAnnouncement

NOW = 1_770_000_000
MADE = SyntheticMap(random_edges(1, 12, 6), 1, NOW)
CHANNELS = list(MADE.channels())
NODES = list(MADE.node_announcements())
PARSED = [ChannelAnnouncement.decode(channel.announcement) for channel in CHANNELS]


def scid(number: int) -> int:
    """The short_channel_id of the number-th channel."""
    return PARSED[number].short_channel_id


def put(store: GossipStore, channel: SignedChannel) -> list[int]:
    """Append a channel: the offsets of announcement, amount and both updates."""
    return [
        store.append(channel.announcement, channel.timestamps[0]),
        store.append(amount_message(channel.capacity_sat), 0),
        *(store.append(raw, time) for raw, time in zip(channel.updates, channel.timestamps, strict=True)),
    ]


def full(path: Path) -> None:
    """A store with all of it, closed."""
    store = GossipStore.open(path)
    MADE.write_store(store)
    store.close()
