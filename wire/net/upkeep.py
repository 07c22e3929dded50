"""What is done about owned connections as time goes by: pings, and the end of those who do not read.

One timer for all of them.
"""

import asyncio
import heapq
from collections.abc import Callable, Mapping
from typing import Generic

from wire.control.control_wire import PeerStats
from wire.net.duties import NOT_ANSWERING, NOT_READING
from wire.net.owned_peer import OwnedPeer, S
from wire.net.owned_peers import OwnedPeers
from wire.net.pinger import PONG_BYTES, Verdict

INTERVAL = 1.0
"""Seconds between two looks at who is due."""


class Upkeep(Generic[S]):
    """`end` ends a connection with last words; `novel` counts what each has told us that was new; `slow_reader` is the
    bound of `wire.control.limits`.
    """

    def __init__(
        self,
        owned: OwnedPeers[S],
        end: Callable[[S, list[bytes], str], None],
        novel: Mapping[int, int],
        slow_reader: float,
        chance: Callable[[], float],
    ) -> None:
        self._owned = owned
        self._end = end
        self._novel = novel
        self.slow_reader = slow_reader
        self._chance = chance
        self._looks: list[tuple[float, int]] = []
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(INTERVAL, self._on_timer)

    def close(self) -> None:
        """Do nothing any more."""
        self._timer.cancel()

    def came(self, conn_id: int) -> None:
        """A connection has been taken."""
        self._look_later(conn_id, self._owned.owned_peer(conn_id))

    def _on_timer(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._on_timer)
        now = self._loop.time()
        while self._looks and self._looks[0][0] <= now:
            at, conn_id = heapq.heappop(self._looks)
            if self._owned.owns(conn_id) and (line := self._owned.owned_peer(conn_id)).look_at == at:
                self._look(conn_id, line, now)
        for peer in self._owned.slow_readers(now, self.slow_reader):
            self._end(peer, [], NOT_READING)
        self._owned.read_on(now)
        self._owned.copy_due(now)

    def _look(self, conn_id: int, line: OwnedPeer[S], now: float) -> None:
        pinger = line.pinger
        told = self._novel.get(conn_id, 0)
        if told > line.told:
            line.told, line.told_at = told, now
        if not self._owned.reads(conn_id):  # then its silence is our doing
            pinger.heard_at = now
        verdict = pinger.look(now)
        if verdict is Verdict.GONE:
            self._end(line.peer, [], NOT_ANSWERING)
            return
        if verdict is Verdict.PING:
            self._ping(line)
        self._look_later(conn_id, line)

    def _look_later(self, conn_id: int, line: OwnedPeer[S]) -> None:
        line.look_at = self._loop.time() + line.pinger.pause(self._chance())
        heapq.heappush(self._looks, (line.look_at, conn_id))

    def _ping(self, line: OwnedPeer[S]) -> None:
        def answered(total: int | None) -> None:
            if total is not None:
                line.pinger.ponged(self._loop.time())
                self._owned.tally.pings.observe(line.pinger.latency or 0.0)

        line.peer.ping(PONG_BYTES, 0, answered)
        self._owned.pump(line.peer.info.conn_id)

    def stats(self) -> list[PeerStats]:
        """What each owned connection has carried, and how fast its peer answers."""
        found = []
        for peer in self._owned.peers():
            conn_id = peer.info.conn_id
            line = self._owned.owned_peer(conn_id)
            found.append(PeerStats(conn_id, line.frames.traffic, line.pinger.latency, self._novel.get(conn_id, 0)))
        return found
