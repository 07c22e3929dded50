"""When to dial the nodes that we want to stay connected with. Time and chance are arguments; nothing here dials.

A node whose connection has ended, or that could not be reached, is dialled again after a wait that doubles from try to
try, and starts from the first one again once a connection has lasted as long as the longest wait.
"""

from collections.abc import Callable
from dataclasses import dataclass

from wire.control.timing import Timing

JITTER = 0.25
"""A wait is longer by up to this part of it, so that nodes that were lost together do not come back together."""


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


class Reconnect:
    """The table of nodes to stay connected with. `chance` gives numbers in [0, 1)."""

    def __init__(self, timing: Timing, chance: Callable[[], float]) -> None:
        self._first = timing.reconnect_first
        self._longest = timing.reconnect_longest
        self._chance = chance
        self._nodes: dict[bytes, KeptNode] = {}

    def __contains__(self, node_id: bytes) -> bool:
        return node_id in self._nodes

    @property
    def nodes(self) -> dict[bytes, KeptNode]:
        """All of them, by node_id."""
        return self._nodes

    def keep(self, node_id: bytes, now: float, *, connected: bool) -> None:
        """Stay connected with this node: dial it at once, if it is not connected."""
        if node_id not in self._nodes:
            self._nodes[node_id] = KeptNode(self._first, None if connected else now, now if connected else None)

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
            self._wait(node, now)

    def failed(self, node_id: bytes, now: float, error: str) -> None:
        """A node could not be reached."""
        node = self._nodes.get(node_id)
        if node is not None and node.since is None:
            node.tries += 1
            node.error = error
            self._wait(node, now)

    def _wait(self, node: KeptNode, now: float) -> None:
        node.due = now + node.wait * (1 + JITTER * self._chance())
        node.wait = min(2 * node.wait, self._longest)

    def take_due(self, now: float) -> list[bytes]:
        """The nodes that are to be dialled now; each is told of by `connected` or `failed` afterwards."""
        due = [node_id for node_id, node in self._nodes.items() if node.due is not None and node.due <= now]
        for node_id in due:
            self._nodes[node_id].due = None
        return due

    @property
    def next_due(self) -> float | None:
        """When `take_due` will give something; None if none is waited for."""
        return min((node.due for node in self._nodes.values() if node.due is not None), default=None)
