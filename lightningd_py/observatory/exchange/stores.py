"""gossip_stores made of messages, and messages taken out of one."""

import contextlib
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gossipd.gossmap import Gossmap
from gossipd.store.writer import GossipStore
from wire.gossip_layout import (
    CHANNEL_ANNOUNCEMENT,
    CHANNEL_UPDATE,
    NODE_ANNOUNCEMENT,
    channel_keys,
    channel_scid,
    node_id_of,
    node_timestamp,
    update_direction,
    update_scid,
    update_timestamp,
)

BATCH_BYTES = 500_000


class StoredChannel(NamedTuple):
    """`updates` by direction; `amount_sat` None if it is not known; `dying_at` None if the output is unspent."""

    announcement: bytes
    updates: tuple[bytes | None, bytes | None]
    amount_sat: int | None = None
    dying_at: int | None = None


def write_store(path: Path, channels: Iterable[StoredChannel], node_announcements: Iterable[bytes]) -> None:
    """A new gossip_store of version 16. Raises OSError."""
    store = GossipStore.open(path)
    with contextlib.closing(store):
        for channel in channels:
            _append(store, channel)
            if store.size - store.end > BATCH_BYTES:
                store.flush()
        for raw in node_announcements:
            store.append(raw, node_timestamp(raw))
        store.sync()


def _append(store: GossipStore, channel: StoredChannel) -> None:
    updates = [update for update in channel.updates if update is not None]
    timestamp = update_timestamp(updates[0]) if updates else 0
    amount_sat = -1 if channel.amount_sat is None else channel.amount_sat
    offset = store.append_channel(channel.announcement, timestamp, amount_sat)
    for update in updates:
        store.append(update, update_timestamp(update))
    if channel.dying_at is not None:
        store.set_dying(offset)


def store_of_messages(path: Path, messages: Iterable[bytes]) -> int:
    """A gossip_store of what is newest among messages in any order: of each channel, direction and node. Returns how
    many messages were left out: updates and nodes without a channel, and what cannot be read. Raises OSError."""
    found = _Newest()
    for raw in messages:
        found.take(raw)
    channels, nodes = found.channels(), found.node_announcements()
    write_store(path, channels, nodes)
    written = sum(update is not None for channel in channels for update in channel.updates)
    return found.unreadable + len(found.updates) - written + len(found.nodes) - len(nodes)


class _Newest:
    def __init__(self) -> None:
        self.announcements: dict[int, bytes] = {}
        self.updates: dict[tuple[int, int], bytes] = {}
        self.nodes: dict[bytes, bytes] = {}
        self.unreadable = 0

    def take(self, raw: bytes) -> None:
        try:
            self._take(raw)
        except (IndexError, struct.error):
            self.unreadable += 1

    def _take(self, raw: bytes) -> None:
        kind = int.from_bytes(raw[:2], "big")
        if kind == CHANNEL_ANNOUNCEMENT:
            channel_keys(raw)
            self.announcements.setdefault(channel_scid(raw), raw)
        elif kind == CHANNEL_UPDATE:
            key, timestamp = (update_scid(raw), update_direction(raw)), update_timestamp(raw)
            if key not in self.updates or update_timestamp(self.updates[key]) < timestamp:
                self.updates[key] = raw
        elif kind == NODE_ANNOUNCEMENT:
            node_id, timestamp = node_id_of(raw), node_timestamp(raw)
            if node_id not in self.nodes or node_timestamp(self.nodes[node_id]) < timestamp:
                self.nodes[node_id] = raw

    def channels(self) -> list[StoredChannel]:
        return [
            StoredChannel(raw, (self.updates.get((scid, 0)), self.updates.get((scid, 1))))
            for scid, raw in sorted(self.announcements.items())
        ]

    def node_announcements(self) -> list[bytes]:
        has_channel = {node_id for raw in self.announcements.values() for node_id in channel_keys(raw)[:2]}
        return [raw for node_id, raw in sorted(self.nodes.items()) if node_id in has_channel]


def messages_of(gossmap: Gossmap) -> Iterator[bytes]:
    """All messages of a map in an order that a peer accepts: each channel with its updates, then the nodes."""
    for channel in gossmap.channels():
        yield channel.announcement
        for number in (0, 1):
            update = channel.direction(number)
            if update is not None:
                yield update.raw
    for node in gossmap.nodes():
        if node.announcement:
            yield node.announcement
