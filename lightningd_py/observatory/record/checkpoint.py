"""The whole map as rows, read in the node's gossip_store: where as-of begins. Changes that the feed says follow it.

Made in slices, between which the feed is read.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gossipd.gossmap import Channel, Gossmap, StoreError
from lightningd_py.observatory.record.messages import HASH_SIZE, message_row
from lightningd_py.observatory.tables.schemas import CHECKPOINT, CHECKPOINT_END

Row = tuple[str, tuple[Any, ...]]
"""Table and row."""
BEFORE_NS = 1_000_000_000
"""A checkpoint is dated so much earlier: a change that was said just before may not have been in the store yet."""
_CHANNEL, _UPDATE, _NODE, _DYING = "channel_announcement", "channel_update", "node_announcement", "channel_dying"


class Checkpoint:
    """Rows of `map` and `messages`. Iterating may raise StoreError or OSError: without its last row it counts for
    nothing."""

    def __init__(self, store: Path, vantage: str, now_ns: int) -> None:
        self._store = store
        self._vantage = vantage
        self._time_ns = now_ns - BEFORE_NS

    def __iter__(self) -> Iterator[Row]:
        with Gossmap(self._store) as gossmap:
            yield self._map(CHECKPOINT)
            for channel in gossmap.channels():
                yield from self._channel(channel)
            for node in gossmap.nodes():
                if node.announcement:
                    sha256 = hashlib.sha256(node.announcement).digest()
                    yield self._map(_NODE, node_id=node.node_id, timestamp=node.timestamp, sha256=sha256)
                    yield self._message(sha256, node.announcement)
            yield self._map(CHECKPOINT_END)

    def _channel(self, channel: Channel) -> Iterator[Row]:
        scid, raw = channel.short_channel_id, channel.announcement
        sha256 = hashlib.sha256(raw).digest()
        yield self._map(_CHANNEL, scid=scid, amount=channel.capacity_sat, sha256=sha256)
        yield self._message(sha256, raw)
        for number in (0, 1):
            update = channel.direction(number)
            if update is not None:
                sha256 = hashlib.sha256(update.raw).digest()
                yield self._map(_UPDATE, scid=scid, direction=number, timestamp=update.timestamp, sha256=sha256)
                yield self._message(sha256, update.raw)
        if channel.dying_at is not None:
            yield self._map(_DYING, scid=scid, deadline=channel.dying_at)

    def _map(
        self,
        topic: str,
        *,
        scid: int | None = None,
        direction: int | None = None,
        node_id: bytes | None = None,
        timestamp: int | None = None,
        deadline: int | None = None,
        amount: int | None = None,
        sha256: bytes | None = None,
    ) -> Row:
        short = None if sha256 is None else sha256[:HASH_SIZE]
        why = CHECKPOINT
        where = (self._time_ns, self._vantage, topic, scid, direction, node_id, timestamp, why, deadline, amount, short)
        return "map", where

    def _message(self, sha256: bytes, raw: bytes) -> Row:
        return "messages", message_row(self._vantage, self._time_ns, sha256, raw, False)


__all__ = ["Checkpoint", "StoreError"]
