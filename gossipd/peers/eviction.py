"""Which peer goes when there are too many, after Bitcoin Core's eviction.

A few of those that are not wanted are protected by each of several criteria that no stranger fulfils all at once: what
they have told us, when they last did, how fast they answer, a network that only we know, how long they are connected.
Of the rest, the network with the most loses its youngest. The one that has just come is not among them: so a newcomer
always comes in, and a crowd out of one network pushes itself out.

What is done about each of them as time goes by is `wire.net.upkeep`'s. docs/connectd.md has the bounds.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from hashlib import blake2b
from typing import Any

from gossipd.peers.peer import Peer
from wire.control.limits import Limits
from wire.control.privilege import raise_fd_limit
from wire.control.status import Status
from wire.net import upkeep
from wire.net.owned_peers import OwnedPeers
from wire.net.sockman.farewell import MOST_FAREWELLS
from wire.peer_wire import WarningMessage
from wire.start.late_dataclass import dataclass

FDS_BESIDES = 128 + MOST_FAREWELLS
"""File descriptors for other things than peers: the store and its successor, workers, control sockets, farewells."""
LEAST_PEERS = 10
GO_AWAY = WarningMessage(bytes(32), b"too many peers here").encode()
MOST_PROTECTED = 8
"""Peers that one criterion protects, of many; of few a sixteenth."""

status = Status("gossipd")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A peer that may have to go. `told`: how much it has told us that was new, `told_at`: when it last did. `latency`:
    of its last pong, in seconds; None if it has not answered a ping. conn_ids count up: the lowest is the oldest.
    """

    conn_id: int
    group: str
    told: int
    told_at: float
    latency: float | None


def to_evict(candidates: list[Candidate], secret: bytes) -> int:
    """The conn_id of the one that goes; there must be one. `secret` chooses the networks that are protected."""
    quota = min(MOST_PROTECTED, len(candidates) // 16)

    def by_secret(one: Candidate) -> bytes:
        return blake2b(one.group.encode(), key=secret, digest_size=8).digest()

    rest = _without(max(1, quota), lambda one: (one.told, -one.conn_id), candidates, lambda one: one.told > 0)
    rest = _without(quota, lambda one: one.told_at, rest, lambda one: one.told > 0)
    rest = _without(quota, lambda one: -(one.latency or 0), rest, lambda one: one.latency is not None)
    rest = _without(quota, by_secret, rest)
    rest = _without_the_oldest(rest or candidates)
    sizes = Counter(one.group for one in rest)
    return max(rest, key=lambda one: (sizes[one.group], one.conn_id)).conn_id


def _without_the_oldest(candidates: list[Candidate]) -> list[Candidate]:
    """The half that is connected longest is protected, but of no network more than a quarter of all."""
    protected: Counter[str] = Counter()
    most, of_one = len(candidates) // 2, len(candidates) // 4
    rest = []
    for one in sorted(candidates, key=lambda one: one.conn_id):
        if most and protected[one.group] < of_one:
            protected[one.group] += 1
            most -= 1
        else:
            rest.append(one)
    return rest


def _without(
    quota: int,
    worth: Callable[[Candidate], Any],
    candidates: list[Candidate],
    deserves: Callable[[Candidate], bool] = lambda _: True,
) -> list[Candidate]:
    """All but so many of the greatest worth."""
    best = heapq.nlargest(quota, filter(deserves, candidates), key=worth)
    protected = {one.conn_id for one in best}
    return [one for one in candidates if one.conn_id not in protected]


class Upkeep(upkeep.Upkeep[Peer]):
    """`end` ends a connection with last words; `novel` counts what each has told us that was new; `remote` has those
    that another process owns, and whose gossip fds are here.
    """

    def __init__(
        self,
        owned: OwnedPeers[Peer],
        end: Callable[[Peer, list[bytes], str], None],
        novel: Mapping[int, int],
        remote: Collection[Peer],
        limits: Limits,
        chance: Callable[[], float],
    ) -> None:
        self.wanted: set[bytes] = set()
        """Nodes that the master wants to stay connected with."""
        super().__init__(owned, end, novel, limits.slow_reader, chance)
        self._remote = remote
        self._limits = limits
        self._secret = str(chance()).encode()
        self._most = max(LEAST_PEERS, raise_fd_limit() - FDS_BESIDES)
        self._complained = False

    def change_wanted(self, added: Iterable[bytes], removed: Iterable[bytes]) -> None:
        """Nodes that are wanted from now on, and those that no longer are."""
        self.wanted.difference_update(removed)
        self.wanted.update(added)

    def change_limits(self, limits: Limits) -> None:
        """For those that come from now on; how long is waited for a slow reader is another for all."""
        self._limits, self.slow_reader = limits, limits.slow_reader

    def came(self, conn_id: int) -> None:
        """A connection has been taken. Another one may have to go, or this one if there is no other."""
        super().came(conn_id)
        self.make_room(conn_id)

    def make_room(self, newcomer: int) -> None:
        """End a connection if there are too many, with their gossip fds; that of `newcomer` only if it is the only one
        that may go."""
        too_many = len(self._owned) + len(self._remote) > self._most
        if len(self._owned) + len(self._remote) <= self._limits.inbound and not too_many:
            return  # without a look at each: then a thousand that come at once would cost a million
        unwanted = [peer for peer in self._owned.peers() if peer.info.node_id not in self.wanted]
        inbound = [peer for peer in unwanted if peer.info.incoming]
        elsewhere = sum(peer.info.incoming and peer.info.node_id not in self.wanted for peer in self._remote)
        if inbound and len(inbound) + elsewhere > self._limits.inbound:
            self._end_one_of(inbound, newcomer, f"{self._limits.inbound} inbound peers that are not wanted")
        elif too_many and unwanted:
            self._end_one_of(unwanted, newcomer, f"{self._most} peers, for want of file descriptors")

    def _end_one_of(self, peers: list[Peer], newcomer: int, bound: str) -> None:
        if not self._complained:
            status.unusual(f"there are {bound}: from now on, those of least use go")
        self._complained = True
        candidates = [self._candidate(peer) for peer in peers if peer.info.conn_id != newcomer]
        goes = to_evict(candidates, self._secret) if candidates else newcomer
        self._end(next(peer for peer in peers if peer.info.conn_id == goes), [GO_AWAY], "too many peers")

    def _candidate(self, peer: Peer) -> Candidate:
        conn_id = peer.info.conn_id
        line = self._owned.owned_peer(conn_id)
        told = self._novel.get(conn_id, 0)
        return Candidate(conn_id, peer.group, told, line.told_at, line.pinger.latency)
