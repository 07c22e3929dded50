"""Where a node may be found: hints that users gave, and where it was reached last."""

from wire.control.shares import Newest

MAX_NODES = 1_000
"""So many nodes are remembered in each table, the newest ones."""
MAX_HINTS = 10
"""So many hints are kept for a node, the newest ones."""


class AddressBook:
    """Addresses as text, by node_id, in two bounded tables: what one forgets a user can say again."""

    def __init__(self) -> None:
        self._hints: Newest[bytes, list[str]] = Newest(MAX_NODES)
        self._last: Newest[bytes, list[str]] = Newest(MAX_NODES)

    def hint(self, node_id: bytes, address: str) -> None:
        """A user says that the node is there."""
        others = [known for known in self._hints.get(node_id, []) if known != address]
        self._hints.put(node_id, [address, *others][:MAX_HINTS])

    def reached(self, node_id: bytes, address: str) -> None:
        """The node was there."""
        self._last.put(node_id, [address])

    def leave(self) -> list[tuple[bytes, list[str], list[str]]]:
        """All of it, for the connectd that comes next: node_id, hints, last success; the oldest first."""
        node_ids = dict.fromkeys([*self._last, *self._hints])
        return [(node_id, self._hints.get(node_id, []), self._last.get(node_id, [])) for node_id in node_ids]

    def go_on(self, left: list[tuple[bytes, list[str], list[str]]]) -> None:
        """What another connectd has left."""
        for node_id, hints, last in left:
            if hints:
                self._hints.put(node_id, hints[:MAX_HINTS])
            if last:
                self._last.put(node_id, last[:1])

    def known(self, node_id: bytes) -> list[str]:
        """The hints, newest first, then the last success."""
        return [*self._hints.get(node_id, []), *self._last.get(node_id, [])]
