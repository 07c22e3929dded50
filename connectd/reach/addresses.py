"""Where a node may be found: hints that users gave, and where it was reached last."""

from collections import OrderedDict

MAX_NODES = 1_000
"""So many nodes are remembered in each table, the newest ones."""
MAX_HINTS = 10
"""So many hints are kept for a node, the newest ones."""


class AddressBook:
    """Addresses as text, by node_id, in two bounded tables: what one forgets a user can say again."""

    def __init__(self) -> None:
        self._hints: OrderedDict[bytes, list[str]] = OrderedDict()
        self._last: OrderedDict[bytes, list[str]] = OrderedDict()

    def hint(self, node_id: bytes, address: str) -> None:
        """A user says that the node is there."""
        others = [known for known in self._hints.get(node_id, []) if known != address]
        _keep(self._hints, node_id, [address, *others][:MAX_HINTS])

    def reached(self, node_id: bytes, address: str) -> None:
        """The node was there."""
        _keep(self._last, node_id, [address])

    def known(self, node_id: bytes) -> list[str]:
        """The hints, newest first, then the last success."""
        return [*self._hints.get(node_id, []), *self._last.get(node_id, [])]


def _keep(table: OrderedDict[bytes, list[str]], node_id: bytes, addresses: list[str]) -> None:
    table[node_id] = addresses
    table.move_to_end(node_id)
    if len(table) > MAX_NODES:
        table.popitem(last=False)
