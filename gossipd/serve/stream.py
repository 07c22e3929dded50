"""A peer's view of the store: its gossip_timestamp_filter and a cursor, pulled from when its socket takes more.

Nothing is gathered in memory for a peer: what is news for it lies between its cursor and the end of the store. BOLT 7,
The gossip_timestamp_filter Message.
"""

from collections.abc import Callable

from gossipd.map.index import MapIndex
from gossipd.store.records import DYING
from gossipd.store.writer import GossipStore
from wire.gossip_layout import CHANNEL_ANNOUNCEMENT, CHANNEL_UPDATE, channel_scid

MAX_HEARD = 2_000
"""Messages of the peer's own that are remembered between two flushes: far more than it says, but for a first sync."""


_NOTHING: set[int] = set()
"""For all streams whose peer has said nothing lately; never added to."""
NEAR = 131_072
"""Bytes of the store, far more than the news of one flush, of which another gossipd is told what the peer knows."""


class Stream:
    """What one peer has asked to hear: timestamps from `first` on, `last` excluded; `offset` is how far we are."""

    __slots__ = ("_heard", "_heard_before", "_stored", "first", "last", "limit", "offset")

    def __init__(self, first: int, timestamp_range: int, offset: int, limit: int) -> None:
        """`limit`: records from that offset on wait for the next flush."""
        self.first = first
        self.last = min(first + timestamp_range, 1 << 32)
        self.offset = offset
        self.limit = limit
        self._heard = _NOTHING
        self._heard_before = _NOTHING
        """Before the last flush."""
        self._stored: dict[int, int] = {}
        """What the peer said and what is in the store now, however long it was in the pipeline: with an offset behind
        it, in that order."""

    def heard(self, message: bytes) -> bool:
        """The peer knows this, and need not hear it with the next flush. False if that was known."""
        number = hash(message)
        if number in self._heard or number in self._heard_before:
            return False
        if len(self._heard) >= MAX_HEARD:
            self._heard_before, self._heard = self._heard, _NOTHING
        if self._heard is _NOTHING:
            self._heard = set()
        self._heard.add(number)
        return True

    def stored(self, message: bytes, behind: int) -> None:
        """A message of the peer's has been put into the store, before that offset: it is not for this stream."""
        if len(self._stored) >= MAX_HEARD:
            del self._stored[next(iter(self._stored))]
        self._stored[hash(message)] = behind

    def leave(self, store: GossipStore) -> list[int]:
        """What of the records near ahead the peer knows: the offsets behind them, for another gossipd."""
        if not self._heard and not self._heard_before and not self._stored:
            return []
        records, _ = store.scan(self.offset, min(NEAR, store.end - self.offset))
        return [following for _, _, _, message, following in records if self._knows(hash(message))]

    def go_on(self, store: GossipStore, known: list[int]) -> None:
        """What another gossipd has left of this stream, in the same file."""
        behind = set(known)
        if behind:
            records, _ = store.scan(self.offset, min(NEAR, store.end - self.offset))
            self._stored = {hash(message): each for _, _, _, message, each in records[:MAX_HEARD] if each in behind}

    def _knows(self, number: int) -> bool:
        return number in self._heard or number in self._heard_before or number in self._stored

    def flush(self, end: int) -> None:
        """What the store holds up to this offset may go; what the peer said two flushes ago is forgotten."""
        self.limit = end
        if self._heard or self._heard_before:
            self._heard_before, self._heard = self._heard, _NOTHING
        self._forget_passed()

    def _forget_passed(self) -> None:
        while self._stored and self._stored[number := next(iter(self._stored))] <= self.offset:
            del self._stored[number]

    @property
    def finished(self) -> bool:
        """Nothing is left to send before the next flush."""
        return self.offset >= self.limit

    def move(self, place: Callable[[int], int]) -> None:
        """The store was compacted: `place` says where in the new file an offset is."""
        self.offset, self.limit = place(self.offset), place(self.limit)
        self._stored = {number: place(behind) for number, behind in self._stored.items()}

    def pull(self, store: GossipStore, index: MapIndex, budget: int) -> list[bytes]:
        """What the peer wants of the next `budget` bytes of the store; may be empty before the limit is reached.

        Deleted and dying records are passed over, so an update that was replaced before its flush never goes out.
        """
        first, last = self.first, self.last
        records, self.offset = store.scan(self.offset, min(budget, self.limit - self.offset), CHANNEL_UPDATE)
        row_of, (off_0, off_1), (ts_0, ts_1) = index.channels.get, index.update_off, index.update_ts
        wanted = []
        for flags, timestamp, kind, message, _ in records:
            if flags & DYING:
                continue
            if kind > CHANNEL_ANNOUNCEMENT:
                if first <= timestamp < last:
                    wanted.append(message)
            # It counts as being of the time of its updates, and does not go without one (B7-98).
            elif (
                kind == CHANNEL_ANNOUNCEMENT
                and (row := row_of(channel_scid(message))) is not None
                and ((off_0[row] and first <= ts_0[row] < last) or (off_1[row] and first <= ts_1[row] < last))
            ):
                wanted.append(message)
        young, old, stored = self._heard, self._heard_before, self._stored
        if not young and not old and not stored:
            return wanted
        return [
            message
            for message in wanted
            if (number := hash(message)) not in young and number not in old and number not in stored
        ]
