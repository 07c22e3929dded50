"""How often a direction of a channel may be updated, and a node announced: a token bucket each.

After the signature check, so that only the channel's own node can use its tokens up. lnd's figures: ten at
once, then one a minute. Updates that change nothing but the time are keep-alives, and a day apart they cost nothing.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from wire.control.shares import Newest

BURST = 10.0
PER_SECOND = 1 / 60
KEEP_ALIVE = 86_400
"""Seconds after which an unchanged update is a keep-alive, and not chatter."""
MOST = 20_000
"""Buckets kept, those used last. One is full again after ten minutes, when it need not be kept."""


K = TypeVar("K", bound=Hashable)


class RateLimit(Generic[K]):
    """The buckets. `key` names a direction of a channel, or a node; `now` in seconds of a clock that does not jump."""

    def __init__(self) -> None:
        self._buckets: Newest[K, tuple[float, float]] = Newest(MOST)

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, key: K, now: float) -> bool:
        """Take a token, if there is one."""
        tokens, at = self._buckets.get(key, (BURST, now))
        tokens = min(BURST, tokens + (now - at) * PER_SECOND)
        allowed = tokens >= 1
        self._buckets.put(key, (tokens - 1 if allowed else tokens, now))
        return allowed
