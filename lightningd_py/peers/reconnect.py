"""When to dial the nodes that we want to stay connected with. Time and chance are arguments; nothing here dials.

A node whose connection has ended, or that could not be reached, is dialled again after a wait that doubles from try to
try, and starts from the first one again once a connection has lasted as long as the longest wait.
"""

import heapq
import itertools
from collections.abc import Callable, Iterable

from wire.control.timing import Timing
from wire.start.late_dataclass import dataclass

JITTER = 0.25
"""A wait is longer by up to this part of it, so that nodes that were lost together do not come back together."""
SPARE = 100
"""Entries that do not hold any more are thrown away when there are so many, and one for each node."""


@dataclass(slots=True)
class KeptNode:
    """One such node. `due` is when to dial it: None while it is connected, or being dialled. `since` when connected."""

    wait: float
    due: float | None
    since: float | None = None
    tries: int = 0
    """In vain, since the last connection."""
    error: str = ""
    """Why the last try has failed, or the last connection has ended."""


@dataclass(frozen=True, slots=True)
class KeptLeft:
    """One such node, for the next program of this process. Times are the monotonic clock's."""

    node_id: bytes
    wait: float
    due: float | None = None
    since: float | None = None
    tries: int = 0
    error: str = ""


class Reconnect:
    """The table of nodes to stay connected with. `chance` gives numbers in [0, 1)."""

    def __init__(self, timing: Timing, chance: Callable[[], float]) -> None:
        self._first = timing.reconnect_first
        self._longest = timing.reconnect_longest
        self._chance = chance
        self._nodes: dict[bytes, KeptNode] = {}
        self._waiting: list[tuple[float, int, bytes]] = []
        """A heap of when to dial whom, in the order in which that was decided; some entries do not hold any more."""
        self._order = itertools.count()

    def __contains__(self, node_id: bytes) -> bool:
        return node_id in self._nodes

    @property
    def nodes(self) -> dict[bytes, KeptNode]:
        """All of them, by node_id."""
        return self._nodes

    def leave(self) -> list[KeptLeft]:
        """All of them, for the next program of this process."""
        return [
            KeptLeft(node_id, node.wait, node.due, node.since, node.tries, node.error)
            for node_id, node in self._nodes.items()
        ]

    def resume(self, left: Iterable[KeptLeft], now: float) -> None:
        """Go on with those of the program before us: what that was dialling is dialled by us."""
        for one in left:
            node = self._nodes[one.node_id] = KeptNode(one.wait, None, one.since, one.tries, one.error)
            if one.since is None:
                self._dial_at(one.node_id, node, now if one.due is None else one.due)

    def keep(self, node_id: bytes, now: float, *, connected: bool) -> None:
        """Stay connected with this node: dial it at once, if it is not connected."""
        if node_id not in self._nodes:
            node = self._nodes[node_id] = KeptNode(self._first, None, now if connected else None)
            if not connected:
                self._dial_at(node_id, node, now)

    def let_go(self, node_id: bytes) -> None:
        """Care no more."""
        self._nodes.pop(node_id, None)

    def connected(self, node_id: bytes, now: float) -> None:
        """The node is connected, by its dial or ours."""
        if node := self._nodes.get(node_id):
            node.due, node.since, node.tries = None, now, 0

    def ended(self, node_id: bytes, now: float, reason: str) -> None:
        """Its connection has ended, and it has no other one."""
        if node := self._nodes.get(node_id):
            if node.since is not None and now - node.since >= self._longest:
                node.wait = self._first
            node.since, node.error = None, reason
            self._wait(node_id, node, now)

    def failed(self, node_id: bytes, now: float, error: str) -> None:
        """A node could not be reached."""
        node = self._nodes.get(node_id)
        if node is not None and node.since is None:
            node.tries += 1
            node.error = error
            self._wait(node_id, node, now)

    def _wait(self, node_id: bytes, node: KeptNode, now: float) -> None:
        self._dial_at(node_id, node, now + node.wait * (1 + JITTER * self._chance()))
        node.wait = min(2 * node.wait, self._longest)

    def _dial_at(self, node_id: bytes, node: KeptNode, due: float) -> None:
        node.due = due
        heapq.heappush(self._waiting, (due, next(self._order), node_id))
        if len(self._waiting) > 2 * len(self._nodes) + SPARE:
            self._waiting = [entry for entry in self._waiting if self._holds(entry)]
            heapq.heapify(self._waiting)

    def _holds(self, entry: tuple[float, int, bytes]) -> bool:
        node = self._nodes.get(entry[2])
        return node is not None and node.due == entry[0]

    def take_due(self, now: float) -> list[bytes]:
        """The nodes that are to be dialled now; each is told of by `connected` or `failed` afterwards."""
        taken = []
        while (due := self.next_due) is not None and due <= now:
            node_id = heapq.heappop(self._waiting)[2]
            self._nodes[node_id].due = None
            taken.append(node_id)
        return taken

    @property
    def next_due(self) -> float | None:
        """When `take_due` will give something; None if none is waited for."""
        while self._waiting and not self._holds(self._waiting[0]):
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None
