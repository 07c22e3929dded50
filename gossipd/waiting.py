"""node_announcements that came before any channel of their node: kept for a while, unchecked, within bounds."""

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 8_000_000


class WaitingNodes:
    """The last message of each node, with its source; the oldest ones make room."""

    def __init__(self) -> None:
        self._messages: dict[bytes, tuple[bytes, int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, node_id: bytes, message: bytes, source: int) -> None:
        """Keep this one instead of the one before."""
        self.take(node_id)
        self._messages[node_id] = (message, source)
        self._bytes += len(message)
        while len(self._messages) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self.take(next(iter(self._messages)))

    def take(self, node_id: bytes) -> tuple[bytes, int] | None:
        """(message, source) of a node, which is here no longer; None if there is none."""
        waiting = self._messages.pop(node_id, None)
        if waiting is not None:
            self._bytes -= len(waiting[0])
        return waiting
