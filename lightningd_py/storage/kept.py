"""The table of what is kept of peers, without the blobs: who may have one, how much room there is, and what expires.

A blob is kept for EXPIRES seconds after it was of use last: in mode `channels` that is while a service has a channel
with its peer, in mode `all` while the peer is connected, too. The quota is for all; a peer without a channel is a
stranger here: all strangers have half of the quota, those of one network an eighth, and what they have makes room for
peers with channels. No I/O, and the time is an argument: unix seconds.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum
from heapq import nsmallest

from wire.start.late_dataclass import dataclass

ALL, CHANNELS, NONE = "all", "channels", "none"
"""The modes of --peer-storage."""
EXPIRES = 30 * 86_400.0
LEAST = 4_096
"""Bytes that each blob counts at least, for what it takes in the file and in memory: a bound for their number, too."""
STRANGERS, NETWORK = 2, 8
"""Strangers have the quota divided by this, and those of one network."""
MORE_ROOM = 64
"""For a peer with a channel so much of the quota is made free at once, divided by this."""


class Refusal(Enum):
    """Why a blob is not kept."""

    NO_CHANNEL = "no_channel"
    """No service has a channel with the peer, in mode `channels`."""
    QUOTA = "quota"
    STRANGERS = "strangers"
    """Peers without a channel have their share of the quota."""
    NETWORK = "network"
    """Or those of its network have theirs."""
    DISK = "disk"
    """Too much waits to be written."""
    MALFORMED = "malformed"
    """No peer_storage: only a service's program can have said that it is one."""


@dataclass(slots=True)
class Kept:
    """What is known of one blob. `network` as `wire.address.network_group` names it."""

    size: int
    stored: float
    """When the newest one came."""
    since: float | None
    """When EXPIRES began; None while the blob is of use."""
    network: str


class KeptTable:
    """All of them, by node_id."""

    def __init__(self, mode: str, quota: int, has_channel: Callable[[bytes], bool]) -> None:
        """`quota` in bytes."""
        self.mode, self.quota = mode, quota
        self._has_channel = has_channel
        self.kept: dict[bytes, Kept] = {}
        self.bytes = 0
        """What all count."""
        self._strangers: dict[bytes, None] = {}
        self._of_strangers: Counter[str] = Counter()
        """Bytes, by network."""

    def put(self, node_id: bytes, size: int, network: str, now: float) -> tuple[Refusal | None, list[bytes]]:
        """A peer, which is connected, has a blob of so many bytes: why it is not kept, if it is not; then an older one
        stays. Else the nodes whose blobs have made room.
        """
        channel = self._has_channel(node_id)
        before = self.kept.get(node_id)
        freed = _counts(before.size) if before is not None else 0
        refusal = self._refusal(node_id, _counts(size) - freed, network, channel=channel)
        if refusal is not None:
            return refusal, []
        gone = self._make_room(node_id, _counts(size) - freed)
        if before is not None:
            self.drop(node_id)
        self.add(node_id, Kept(size, now, None, network))
        return None, gone

    def _refusal(self, node_id: bytes, size: int, network: str, *, channel: bool) -> Refusal | None:
        if not channel and self.mode == CHANNELS:
            return Refusal.NO_CHANNEL
        if channel:
            others = sum(self._of_strangers.values()) - self._count_of_stranger(node_id)
            return Refusal.QUOTA if self.bytes + size - others > self.quota else None
        if self.bytes + size > self.quota:
            return Refusal.QUOTA
        if sum(self._of_strangers.values()) + size > self.quota // STRANGERS:
            return Refusal.STRANGERS
        own = size + self._count_of_stranger(node_id) if self._network_of(node_id) != network else size
        return Refusal.NETWORK if self._of_strangers[network] + own > self.quota // NETWORK else None

    def _network_of(self, node_id: bytes) -> str | None:
        return self.kept[node_id].network if node_id in self._strangers else None

    def _count_of_stranger(self, node_id: bytes) -> int:
        return _counts(self.kept[node_id].size) if node_id in self._strangers else 0

    def _make_room(self, node_id: bytes, size: int) -> list[bytes]:
        """Strangers go whose blobs have been of no use for the longest; only a peer with a channel finds none."""
        lacking = self.bytes + size - self.quota
        if lacking <= 0:
            return []
        lacking += self.quota // MORE_ROOM
        gone = []
        strangers = (each for each in self._strangers if each != node_id)
        for other in nsmallest(lacking // LEAST + 1, strangers, key=self._of_no_use):
            if lacking <= 0:
                break
            lacking -= _counts(self.kept[other].size)
            self.drop(other)
            gone.append(other)
        return gone

    def _of_no_use(self, node_id: bytes) -> float:
        since = self.kept[node_id].since
        return float("inf") if since is None else since

    def add(self, node_id: bytes, kept: Kept) -> None:
        """One more, as it is."""
        self.kept[node_id] = kept
        self.bytes += _counts(kept.size)
        if not self._has_channel(node_id):
            self._strangers[node_id] = None
            self._of_strangers[kept.network] += _counts(kept.size)

    def drop(self, node_id: bytes) -> bool:
        """Forget it; False if there is none."""
        kept = self.kept.pop(node_id, None)
        if kept is None:
            return False
        self.bytes -= _counts(kept.size)
        self._no_stranger(node_id, kept)
        return True

    def _no_stranger(self, node_id: bytes, kept: Kept) -> None:
        if node_id in self._strangers:
            del self._strangers[node_id]
            self._of_strangers[kept.network] -= _counts(kept.size)
            if not self._of_strangers[kept.network]:
                del self._of_strangers[kept.network]

    def look(self, node_id: bytes, now: float, *, connected: bool) -> bool:
        """A peer has come or gone, or its channels may be others: whether `since` is another one now."""
        kept = self.kept.get(node_id)
        if kept is None:
            return False
        channel = self._has_channel(node_id)
        self._no_stranger(node_id, kept)
        if not channel:
            self._strangers[node_id] = None
            self._of_strangers[kept.network] += _counts(kept.size)
        of_use = channel or (connected and self.mode == ALL)
        before = kept.since
        kept.since = None if of_use else now if before is None else before
        return kept.since != before

    def expired(self, now: float) -> list[bytes]:
        """Those whose time is over: they are dropped."""
        over = [
            node_id for node_id, kept in self.kept.items() if kept.since is not None and now - kept.since >= EXPIRES
        ]
        self.drop_all(over)
        return over

    def drop_all(self, node_ids: Iterable[bytes]) -> None:
        """Forget these."""
        for node_id in node_ids:
            self.drop(node_id)


def _counts(size: int) -> int:
    return max(size, LEAST)
