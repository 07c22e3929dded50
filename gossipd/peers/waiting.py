"""Gossip of one peer's that waits to be taken in: the part of `intake_pause.py` that a peer has."""

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from wire.gossip_layout import GOSSIP_TYPES
from wire.net.turns import MESSAGE_COST

WAITING_MARK = 65_536
"""Bytes that may wait, MESSAGE_COST more for each message: above that the peer is not read."""

P_contra = TypeVar("P_contra", contravariant=True)


class Pause(Protocol, Generic[P_contra]):
    """Whether gossip is taken in now."""

    @property
    def on(self) -> bool:
        """Gossip is to wait."""

    def add(self, peer: P_contra, /) -> None:
        """Gossip of this peer's waits."""


class Waiting:
    """Messages in their order, each with when it came (unix nanoseconds, 0 if that was not noted)."""

    __slots__ = ("_messages", "size")

    def __init__(self) -> None:
        self.size = 0
        """Bytes, with MESSAGE_COST for each message: to be read."""
        self._messages: deque[tuple[bytes, int]] = deque()

    @property
    def is_full(self) -> bool:
        """Nothing more is to come for now."""
        return self.size > WAITING_MARK

    def add(self, message: bytes, came_ns: int) -> None:
        """One more."""
        self._messages.append((message, came_ns))
        self.size += len(message) + MESSAGE_COST

    def hear(self, hear: Callable[[bytes, int], bool], most: int) -> bool:
        """Take about so many bytes of it out, and have them heard. False as soon as `hear` says so."""
        while self._messages and most > 0:
            message, came_ns = self._messages.popleft()
            self.size -= len(message) + MESSAGE_COST
            most -= len(message) + MESSAGE_COST
            if not hear(message, came_ns):
                return False
        return True

    def leave(self, pass_over: Callable[[bytes, int], None]) -> list[bytes]:
        """All of it goes: news is passed over, and queries are returned."""
        messages, self._messages, self.size = self._messages, deque(), 0
        queries = []
        for message, came_ns in messages:
            if message[0] << 8 | message[1] in GOSSIP_TYPES:
                pass_over(message, came_ns)
            else:
                queries.append(message)
        return queries
