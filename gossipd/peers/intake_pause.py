"""When the pipeline or the disk is full, gossip is not taken in for a while: it waits with its peers, within a bound.

Peers are read all the while, so that their pings are answered at once. When there is room again, or the while is over,
what waits is taken in: what finds no room then is owed.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from gossipd.peers.peer import Peer
from wire.address import source_key
from wire.net.owned_peers import OwnedPeers
from wire.net.turns import QUANTUM


class Loop(Protocol):
    """The part of an asyncio loop that this is about."""

    def call_later(self, delay: float, callback: Callable[[], None], /) -> object:
        """Call it after so many seconds."""

    def time(self) -> float:
        """Seconds."""


class IntakePause:
    """`has_room`: whether gossip could be taken in. `over` is called when the longest pause is."""

    def __init__(self, has_room: Callable[[], bool], loop: Loop, longest: float, over: Callable[[], None]) -> None:
        self.on = False
        """As it was at the last look."""
        self._has_room = has_room
        self._loop = loop
        self._longest = longest
        self._over = over
        self._since: float | None = None
        """When the room ended."""
        self._waiting: deque[Peer] = deque()

    def look(self) -> bool:
        """Whether gossip is to wait now."""
        if self._has_room():
            self._since, self.on = None, False
            return False
        now = self._loop.time()
        if self._since is None:
            self._since = now
            self._loop.call_later(self._longest, self._over)
        self.on = now - self._since < self._longest
        return self.on

    def add(self, peer: Peer) -> None:
        """Gossip of this peer's waits."""
        self._waiting.append(peer)

    def go_on(self, owned: OwnedPeers[Peer], pump: Callable[[Peer], None]) -> None:
        """What waits is heard, if there is room, in turns as all that peers say."""
        if self._waiting and not self.look():
            waiting, self._waiting = self._waiting, deque()
            for peer in waiting:
                self._in_turn(peer, owned, pump)

    def _in_turn(self, peer: Peer, owned: OwnedPeers[Peer], pump: Callable[[Peer], None]) -> None:
        def hear() -> None:
            if not peer.hear_waiting(QUANTUM):
                return
            if peer.has_something_to_say:
                pump(peer)
            if peer.waiting is None:
                if owned.owns(peer.info.conn_id):
                    owned.go_on(peer.info.conn_id)
            elif self.look():
                self.add(peer)
            else:
                self._in_turn(peer, owned, pump)

        owned.turns.add(source_key(peer.info.address), hear)
