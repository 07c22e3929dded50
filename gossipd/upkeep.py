"""What is done about owned connections as time goes by: pings, slow readers, bounds on how many there are.

One timer for all of them. Which peer goes when there are too many: of those that nobody wants, the newest of those that
have told us least. docs/connectd.md has the bounds.
"""

import asyncio
import heapq
from collections.abc import Callable, Mapping, Sized

from gossipd.owned import Line, Owned
from gossipd.peer import Peer
from wire.control_wire import PeerStats
from wire.fd_limit import raise_fd_limit
from wire.limits import Limits
from wire.peer_wire import WarningMessage
from wire.pinger import PONG_BYTES, Verdict
from wire.status import Status

INTERVAL = 1.0
"""Seconds between two looks at who is due."""
FDS_BESIDES = 128
"""File descriptors for other things than peers: the store and its successor, workers, control sockets."""
LEAST_PEERS = 10
GO_AWAY = WarningMessage(bytes(32), b"too many peers here").encode()

status = Status("gossipd")


class Upkeep:
    """`end` ends a connection with last words; `novel` counts what each has told us that was new; `remote` has those
    that somebody else owns, and whose gossip fds are here.
    """

    def __init__(
        self,
        owned: Owned,
        end: Callable[[Peer, list[bytes], str], None],
        novel: Mapping[int, int],
        remote: Sized,
        limits: Limits,
        chance: Callable[[], float],
    ) -> None:
        self.wanted: frozenset[bytes] = frozenset()
        """Nodes that the master wants to stay connected with."""
        self._owned = owned
        self._end = end
        self._novel = novel
        self._remote = remote
        self._limits = limits
        self._most = max(LEAST_PEERS, raise_fd_limit() - FDS_BESIDES)
        self._chance = chance
        self._looks: list[tuple[float, int]] = []
        self._complained = False
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(INTERVAL, self._on_timer)

    def close(self) -> None:
        """Do nothing any more."""
        self._timer.cancel()

    def came(self, conn_id: int) -> None:
        """A connection has been taken. It, or another one, may have to go again."""
        self._look_later(conn_id, self._owned.line(conn_id))
        unwanted = [peer for peer in self._owned.peers() if peer.info.node_id not in self.wanted]
        inbound = [peer for peer in unwanted if peer.info.incoming]
        if len(inbound) > self._limits.inbound:
            self._end_one_of(inbound, f"{self._limits.inbound} inbound peers that nobody wants")
        elif len(self._owned) + len(self._remote) > self._most and unwanted:
            self._end_one_of(unwanted, f"{self._most} peers, for want of file descriptors")

    def _end_one_of(self, candidates: list[Peer], bound: str) -> None:
        if not self._complained:
            status.unusual(f"there are {bound}: from now on, those of least use go")
        self._complained = True
        least = min(candidates, key=lambda peer: (self._novel.get(peer.info.conn_id, 0), -peer.info.conn_id))
        self._end(least, [GO_AWAY], "too many peers")

    def _on_timer(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._on_timer)
        now = self._loop.time()
        while self._looks and self._looks[0][0] <= now:
            at, conn_id = heapq.heappop(self._looks)
            if self._owned.owns(conn_id) and (line := self._owned.line(conn_id)).look_at == at:
                self._look(conn_id, line, now)
        for peer in self._owned.slow_readers(now, self._limits.slow_reader):
            self._end(peer, [], "it does not take what is sent to it")
        self._owned.read_on(now)

    def _look(self, conn_id: int, line: Line, now: float) -> None:
        pinger = line.pinger
        if not self._owned.reads(conn_id):  # then its silence is our doing
            pinger.heard_at = now
        verdict = pinger.look(now)
        if verdict is Verdict.GONE:
            self._end(line.peer, [], "it does not answer pings")
            return
        if verdict is Verdict.PING:
            self._ping(line)
        self._look_later(conn_id, line)

    def _look_later(self, conn_id: int, line: Line) -> None:
        line.look_at = self._loop.time() + line.pinger.pause(self._chance())
        heapq.heappush(self._looks, (line.look_at, conn_id))

    def _ping(self, line: Line) -> None:
        def answered(total: int | None) -> None:
            if total is not None:
                line.pinger.ponged(self._loop.time())

        line.peer.ping(PONG_BYTES, 0, answered)
        self._owned.pump(line.peer.info.conn_id)

    def stats(self) -> list[PeerStats]:
        """What each owned connection has carried, and how fast its peer answers."""
        found = []
        for peer in self._owned.peers():
            conn_id = peer.info.conn_id
            line = self._owned.line(conn_id)
            found.append(PeerStats(conn_id, line.frames.traffic, line.pinger.latency, self._novel.get(conn_id, 0)))
        return found
