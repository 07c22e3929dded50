"""Large messages that ZMQ keeps for other ends: bytes are bounded where ZMQ itself counts messages alone.

ZMQ tells of each message that it was sent without a copy when it has let go of it. So much for all ends together is
known, and an end may have as much as is still free (as switches share their buffers among ports): one that does not
read gets half at most, two get a third each, and there is room left for one more that reads.
"""

from collections import deque
from typing import Protocol

LARGE = 4_096
"""Bytes of a message from which on it is counted; what is shorter is bounded by ZMQ's count."""
MOST_LARGE = 64 << 20
"""Bytes for all the other ends of a socket, besides one message for each."""


class Tracker(Protocol):
    """ZMQ's word on one message."""

    @property
    def done(self) -> bool:
        """ZMQ has let go of it."""


class LargeMessages:
    """What ZMQ keeps, for each route."""

    def __init__(self, most: int = MOST_LARGE) -> None:
        self._most = most
        self._kept: dict[bytes, deque[tuple[Tracker, int]]] = {}
        self._sizes: dict[bytes, int] = {}
        self.size = 0
        """Bytes for all, as far as it is known that they have not left."""

    def of(self, route: bytes) -> int:
        """Bytes for this route."""
        return self._sizes.get(route, 0)

    def has_room(self, route: bytes, size: int) -> bool:
        """Whether a message of this size may go this way now."""
        if self._fits(route, size):
            return True
        for each in list(self._kept):
            self._let_go(each)
        return self._fits(route, size)

    def _fits(self, route: bytes, size: int) -> bool:
        own = self.of(route)
        return not own or own + size <= self._most - self.size

    def sent(self, route: bytes, tracker: Tracker, size: int) -> None:
        """ZMQ has got it."""
        self._kept.setdefault(route, deque()).append((tracker, size))
        self._sizes[route] = self.of(route) + size
        self.size += size
        self._let_go(route)

    def _let_go(self, route: bytes) -> None:
        """What has left this way counts no more."""
        kept = self._kept[route]
        while kept and kept[0][0].done:
            _, size = kept.popleft()
            self._sizes[route] -= size
            self.size -= size
        if not kept:
            del self._kept[route], self._sizes[route]
