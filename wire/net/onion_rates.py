"""How many onion messages of a peer go up to the master: CLN's four a second, and lnd's bytes. The rest is dropped.

BOLT 4 lets us (B4-128). It is the owner of a connection that looks, so that a flood costs it the decryption and the
master nothing. Time is an argument, in seconds of any clock that does not jump.
"""

from wire.message import MAX_MESSAGE

ONION_MESSAGE = 513
A_SECOND = 4
BYTES_A_SECOND = 64_000
MOST_BYTES = 4 * MAX_MESSAGE
"""What may come at once, after a pause."""


class TokenBucket:
    """Full at first: `burst` may be taken at once, and `rate` a second comes back."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    def has(self, amount: float, now: float) -> bool:
        """Whether so much may be taken."""
        if self._at is not None:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left >= amount

    def is_low(self, now: float) -> bool:
        """Whether less than half is left of what may come at once."""
        return not self.has(self._burst / 2, now)

    def take(self, amount: float) -> None:
        """After `has`."""
        self._left -= amount


class OnionRate:
    """Messages and bytes together."""

    __slots__ = ("_bytes", "_messages")

    def __init__(self, messages: float = A_SECOND, size: float = BYTES_A_SECOND, burst: float = MOST_BYTES) -> None:
        self._messages = TokenBucket(messages, messages)
        self._bytes = TokenBucket(size, burst)

    def is_low(self, now: float) -> bool:
        """Whether less than half is left of what may come at once, of messages or of bytes."""
        return self._messages.is_low(now) or self._bytes.is_low(now)

    def take(self, size: int, now: float) -> bool:
        """Whether one more message of so many bytes may pass; then it counts."""
        if not (self._messages.has(1, now) and self._bytes.has(size, now)):
            return False
        self._messages.take(1)
        self._bytes.take(size)
        return True
