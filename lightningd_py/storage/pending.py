"""Blobs that wait to be written: one a peer, the newest, and at most one write a minute of each.

The first one is written at once. Those that come within MINUTE seconds of a write wait for the end of them, each in the
place of the one before. What waits is bounded: from EARLY bytes on the oldest is written before its time, and more than
MOST is refused, which only happens while the disk takes nothing. The time is an argument: seconds of a clock that does
not jump.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wire.control.shares import Newest

MINUTE = 60.0
EARLY, MOST = 16 << 20, 32 << 20
"""Bytes."""
BATCH = 4 << 20
"""Bytes of one write, or a blob more."""
OVERHEAD = 256
MOST_REMEMBERED = 100_000
"""Nodes that were written lately."""


class Waiting(NamedTuple):
    """A blob and when it is to be written."""

    blob: bytes
    due: float


class Pending:
    """All of them, by node_id, in the order in which their peers began to wait."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, Waiting] = {}
        self._written: Newest[bytes, float] = Newest(MOST_REMEMBERED)
        self._size = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[tuple[bytes, Waiting]]:
        return iter(self._waiting.items())

    def get(self, node_id: bytes) -> bytes | None:
        """What waits of this node."""
        waiting = self._waiting.get(node_id)
        return None if waiting is None else waiting.blob

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return self._size

    def has_room(self, node_id: bytes, size: int) -> bool:
        """Whether a blob of this size may wait."""
        before = self._waiting.get(node_id)
        freed = 0 if before is None else len(before.blob) + OVERHEAD
        return self._size - freed + size + OVERHEAD <= MOST

    def put(self, node_id: bytes, blob: bytes, now: float) -> bool:
        """A newer one: whether anything is to be written now."""
        before = self._waiting.get(node_id)
        written = self._written.get(node_id)
        due = before.due if before is not None else now if written is None else max(now, written + MINUTE)
        self._size += len(blob) - len(before.blob) if before is not None else len(blob) + OVERHEAD
        self._waiting[node_id] = Waiting(blob, due)
        if self._size > EARLY:
            self._waiting.update((oldest, Waiting(waits.blob, now)) for oldest, waits in self._oldest())
        return due <= now or self._size > EARLY

    def _oldest(self) -> list[tuple[bytes, Waiting]]:
        """About a batch of those that have waited longest."""
        chosen, size = [], 0
        for node_id, waits in self._waiting.items():
            chosen.append((node_id, waits))
            size += len(waits.blob) + OVERHEAD
            if size > BATCH:
                break
        return chosen

    def due(self, now: float) -> list[tuple[bytes, bytes]]:
        """A batch of (node_id, blob) that are to be written; they wait until `written` says that they are."""
        batch, size = [], 0
        for node_id, waits in self._waiting.items():
            if waits.due <= now:
                batch.append((node_id, waits.blob))
                size += len(waits.blob) + OVERHEAD
                if size > BATCH:
                    break
        return batch

    def written(self, batch: Iterable[tuple[bytes, bytes]], now: float) -> None:
        """These are on the disk; a newer one of the same peer goes on waiting."""
        for node_id, blob in batch:
            self._written.put(node_id, now)
            waits = self._waiting.get(node_id)
            if waits is not None and waits.blob is blob:
                self.drop(node_id)
            elif waits is not None:
                self._waiting[node_id] = Waiting(waits.blob, now + MINUTE)

    def drop(self, node_id: bytes) -> None:
        """Nothing of this node waits."""
        waits = self._waiting.pop(node_id, None)
        if waits is not None:
            self._size -= len(waits.blob) + OVERHEAD

    def leave(self, now: float) -> list[tuple[bytes, bytes, float]]:
        """(node_id, blob, seconds until it is to be written), for the next program of this process."""
        return [(node_id, waits.blob, max(0.0, waits.due - now)) for node_id, waits in self._waiting.items()]

    def resume(self, left: Iterable[tuple[bytes, bytes, float]], now: float) -> None:
        """Go on with those of the program before us."""
        for node_id, blob, wait in left:
            self._waiting[node_id] = Waiting(blob, now + wait)
            self._size += len(blob) + OVERHEAD
