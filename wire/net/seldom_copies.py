"""Copies that go up seldom: of peer storage only a peer's newest message counts, and the master gets no flood of them.

The first one of a connection goes up at once. For INTERVAL seconds after that the newest one waits at the owner, and is
passed on then, or when the connection leaves its owner: the master has all that counts before it hears of the end. What
waits is bounded, with a share for each source; it costs the master nothing.
"""

from collections.abc import Hashable

from wire.control.shares import Shares

SELDOM = frozenset({7, 9})
"""peer_storage and peer_storage_retrieval."""
INTERVAL = 10.0
"""Seconds between two copies of the same type, from one connection."""
MOST_WAITING = 4_096
MOST_BYTES = 8 << 20
"""Of all messages that wait in this process; the source with most of them loses its oldest for one more."""
OVERHEAD = 256
"""Bytes that each counts besides its own."""

_Key = tuple[int, int]
"""conn_id and type."""


class SeldomCopies:
    """Of all connections of one owner. `now` is of any clock that does not jump, in seconds."""

    __slots__ = ("_passed", "_waiting", "lost")

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._passed: dict[_Key, float] = {}
        """When a copy went up last, of connections that are here."""
        self._waiting: Shares[_Key, bytes] = Shares(MOST_WAITING, most_bytes)
        self.lost = 0
        """Messages that did not go up: a newer one came, or there was no room."""

    def __len__(self) -> int:
        """Messages that wait."""
        return len(self._waiting)

    def hear(self, conn_id: int, source: Hashable, message: bytes, now: float, *, room: bool) -> bool:
        """Whether a copy of this goes up now; otherwise the message waits, in the place of an older one.

        `room`: whether the master takes copies now.
        """
        number = message[0] << 8 | message[1]
        if number not in SELDOM:
            return True
        key = conn_id, number
        passed = self._passed.setdefault(key, now - INTERVAL)
        if room and now - passed >= INTERVAL:
            self.lost += self._waiting.pop(key) is not None
            self._passed[key] = now
            return True
        self.lost += key in self._waiting
        self.lost += len(self._waiting.put(key, message, source, len(message) + OVERHEAD))
        return False

    def due(self, now: float) -> list[tuple[int, bytes]]:
        """What has waited long enough, with its conn_id: it goes up now."""
        keys = [key for key in self._waiting if now - self._passed[key] >= INTERVAL]
        self._passed.update(dict.fromkeys(keys, now))
        return [(key[0], message) for key in keys if (message := self._waiting.pop(key)) is not None]

    @property
    def next_due(self) -> float | None:
        """When `due` will give something; None if nothing waits."""
        return min((self._passed[key] + INTERVAL for key in self._waiting), default=None)

    def leave(self, conn_id: int) -> list[bytes]:
        """What waits of a connection that leaves: it goes up before that."""
        keys = [(conn_id, number) for number in SELDOM if self._passed.pop((conn_id, number), None) is not None]
        return [message for key in keys if (message := self._waiting.pop(key)) is not None]
