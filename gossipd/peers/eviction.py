"""Which peer goes when there are too many: of those that are not wanted, the newest of those that have told us least.

What is done about each of them as time goes by is `wire.net.upkeep`'s. docs/connectd.md has the bounds.
"""

from collections.abc import Callable, Mapping, Sized

from gossipd.peers.peer import Peer
from wire.control.limits import Limits
from wire.control.privilege import raise_fd_limit
from wire.control.status import Status
from wire.net import upkeep
from wire.net.owned_peers import OwnedPeers
from wire.peer_wire import WarningMessage

FDS_BESIDES = 128
"""File descriptors for other things than peers: the store and its successor, workers, control sockets."""
LEAST_PEERS = 10
GO_AWAY = WarningMessage(bytes(32), b"too many peers here").encode()

status = Status("gossipd")


class Upkeep(upkeep.Upkeep[Peer]):
    """`end` ends a connection with last words; `novel` counts what each has told us that was new; `remote` has those
    that another process owns, and whose gossip fds are here.
    """

    def __init__(
        self,
        owned: OwnedPeers[Peer],
        end: Callable[[Peer, list[bytes], str], None],
        novel: Mapping[int, int],
        remote: Sized,
        limits: Limits,
        chance: Callable[[], float],
    ) -> None:
        self.wanted: frozenset[bytes] = frozenset()
        """Nodes that the master wants to stay connected with."""
        super().__init__(owned, end, novel, limits.slow_reader, chance)
        self._remote = remote
        self._limits = limits
        self._most = max(LEAST_PEERS, raise_fd_limit() - FDS_BESIDES)
        self._complained = False

    def came(self, conn_id: int) -> None:
        """A connection has been taken. It, or another one, may have to go again."""
        super().came(conn_id)
        too_many = len(self._owned) + len(self._remote) > self._most
        if len(self._owned) <= self._limits.inbound and not too_many:
            return  # without a look at each: then a thousand that come at once would cost a million
        unwanted = [peer for peer in self._owned.peers() if peer.info.node_id not in self.wanted]
        inbound = [peer for peer in unwanted if peer.info.incoming]
        if len(inbound) > self._limits.inbound:
            self._end_one_of(inbound, f"{self._limits.inbound} inbound peers that are not wanted")
        elif too_many and unwanted:
            self._end_one_of(unwanted, f"{self._most} peers, for want of file descriptors")

    def _end_one_of(self, candidates: list[Peer], bound: str) -> None:
        if not self._complained:
            status.unusual(f"there are {bound}: from now on, those of least use go")
        self._complained = True
        least = min(candidates, key=lambda peer: (self._novel.get(peer.info.conn_id, 0), -peer.info.conn_id))
        self._end(least, [GO_AWAY], "too many peers")
