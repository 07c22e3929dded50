"""Requests of a bus that are not answered yet: bounded for each asker and for all, in number and in bytes.

An asker may have as many bytes as are still free, as with what waits to be sent (`wire.bus.large_messages`): one that
asks for all it can gets half, and there is room left for one more.
"""

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

from wire.bus.large_messages import LARGE

MAX_IN_HAND = 64
"""Requests of one asker."""
MAX_BYTES = 16 << 20
"""Bytes of the requests of all askers, of those that are longer than LARGE; an asker may always have one."""
K = TypeVar("K", bound=Hashable)


class InHand(Generic[K]):
    """By asker."""

    def __init__(self) -> None:
        self._counts: Counter[K] = Counter()
        self._bytes: Counter[K] = Counter()

    def flaw(self, asker: K, size: int) -> str | None:
        """Why one more of so many bytes is too much, to be put before 'of this ...'; None if it is not."""
        if self._counts[asker] >= MAX_IN_HAND:
            return f"{MAX_IN_HAND} requests"
        own = self._bytes[asker]
        if size > LARGE and own and own + size > MAX_BYTES - self._bytes.total():
            return f"requests of {own:,} bytes"
        return None

    def add(self, asker: K, size: int) -> None:
        """One more."""
        self._counts[asker] += 1
        if size > LARGE:
            self._bytes[asker] += size

    def done(self, asker: K, size: int) -> None:
        """One less: it is answered, or given up."""
        for counter, amount in ((self._counts, 1), (self._bytes, size if size > LARGE else 0)):
            counter[asker] -= amount
            if not counter[asker]:
                del counter[asker]
