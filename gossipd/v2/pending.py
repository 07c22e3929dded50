"""Announcements of gossip v2 on their way, and what waits for one: bounded, with a share for each source."""

from collections.abc import Callable
from dataclasses import field

from wire.control.shares import Shares
from wire.gossip_v2.kept import Key
from wire.gossip_v2.messages import ChannelAnnouncement2
from wire.start.late_dataclass import dataclass

MOST, MOST_BYTES = 2_000, 4_000_000
MOST_HELD, MOST_HELD_OF_ONE = 8, 4
"""Messages that wait for an announcement, of all connections and of one: both its updates and nodes."""


@dataclass(slots=True, eq=False)
class Pending:
    """One of them. `held`: (message, conn_id) of updates of its channel, and of its nodes."""

    message: bytes
    said: ChannelAnnouncement2
    conn_id: int
    source: str
    held: list[tuple[bytes, int]] = field(default_factory=list)

    @property
    def keys(self) -> tuple[Key, Key, Key]:
        """What is held for it is about one of these: its scid and its nodes."""
        said = self.said
        return said.short_channel_id.to_bytes(8, "big"), said.node_id_1, said.node_id_2


class PendingTable:
    """All of them. `end` hears of those that had to make room."""

    def __init__(self, end: Callable[[Pending], None]) -> None:
        self.table: Shares[bytes, Pending] = Shares(MOST, MOST_BYTES)
        self._awaited: dict[Key, Pending] = {}
        self._end = end

    def __contains__(self, message: object) -> bool:
        return message in self.table.values

    def has(self, pending: Pending) -> bool:
        """Whether it is still on its way."""
        return self.table.get(pending.message) is pending

    def add(self, pending: Pending) -> bool:
        """One more; False if its source has the most of a full table."""
        size = len(pending.message)
        if self.table.refuses(pending.source, size):
            return False
        for key in pending.keys:
            self._awaited.setdefault(key, pending)
        for _, gone in self.table.put(pending.message, pending, pending.source, size):
            self._forget(gone)
            self._end(gone)
        return True

    def pop(self, pending: Pending) -> list[tuple[bytes, int]]:
        """Its fate is decided. Returns what has waited for it."""
        self.table.pop(pending.message)
        self._forget(pending)
        return pending.held

    def awaits(self, key: Key) -> bool:
        """An announcement of this channel, or of a channel of this node, is on its way."""
        return key in self._awaited

    def holds(self, key: Key, message: bytes) -> bool:
        """Whether it waits already."""
        return any(message == held for held, _ in self._awaited[key].held)

    def hold(self, key: Key, message: bytes, conn_id: int) -> bool:
        """Keep a message until that announcement's fate is decided; False if it finds no room."""
        pending, table = self._awaited[key], self.table
        senders = [sender for _, sender in pending.held]
        full = table.most_size is not None and table.size + len(message) > table.most_size
        if full or len(senders) >= MOST_HELD or senders.count(conn_id) >= MOST_HELD_OF_ONE:
            return False
        pending.held.append((message, conn_id))
        table.grow(pending.message, len(message))
        return True

    def _forget(self, pending: Pending) -> None:
        for key in pending.keys:
            if self._awaited.get(key) is pending:
                del self._awaited[key]
