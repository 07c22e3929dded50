"""Writes what is kept to the file, a batch at a time, and reads it: what waits first, the file else.

The thread that writes is `DatabaseWriter`'s. It gets the next batch when the last one is on the disk, or given up: then
all that was in it waits for the next try, RETRY seconds later.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping
from functools import partial

from lightningd_py.database_writer import Change
from lightningd_py.storage.file import BlobFile
from lightningd_py.storage.kept import Kept
from lightningd_py.storage.pending import Pending

TICK = 1.0
"""Seconds between two looks at what is due."""
RETRY = 30.0

Batch = list[tuple[bytes, bytes]]


class Writing:
    """On the loop's clock. `kept` is the table, as it is to be in the file."""

    def __init__(self, file: BlobFile, kept: Mapping[bytes, Kept]) -> None:
        self.pending = Pending()
        self._file = file
        self._kept = kept
        self._loop = asyncio.get_running_loop()
        self._changed: dict[bytes, None] = {}
        """Nodes of which `since` is to be written;"""
        self._dropped: dict[bytes, None] = {}
        """and those that are to be deleted."""
        self._busy = self._ended = False
        self._not_before = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def read(self, node_id: bytes) -> bytes | None:
        """The newest blob; None if it cannot be had."""
        waits = self.pending.get(node_id)
        return self._file.read(node_id) if waits is None else waits

    def put(self, node_id: bytes, blob: bytes) -> None:
        """A newer blob of a node that is in the table."""
        self._dropped.pop(node_id, None)
        self._changed.pop(node_id, None)
        self._write_soon(0.0 if self.pending.put(node_id, blob, self._loop.time()) else TICK)

    def change(self, node_ids: Iterable[bytes]) -> None:
        """What is said of these in the table is different, but for their blobs."""
        self._changed.update(dict.fromkeys(node_ids))
        self._write_soon(TICK)

    def forget(self, node_ids: Iterable[bytes]) -> None:
        """These are not in the table any more."""
        for node_id in node_ids:
            self.pending.drop(node_id)
            self._changed.pop(node_id, None)
            self._dropped[node_id] = None
        self._write_soon(0.0)

    def resume(self, left: Iterable[tuple[bytes, bytes, float]]) -> None:
        """Go on with what waited in the program before us, as far as it is in the table."""
        here = [(node_id, blob, wait) for node_id, blob, wait in left if node_id in self._kept]
        self.pending.resume(here, self._loop.time())
        self._write_soon(TICK)

    def close(self, *, moved: bool) -> None:
        """Write all that waits, due or not, unless the next program of this process has it; and end."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if not moved:
            batch = [(node_id, waits.blob) for node_id, waits in self.pending]
            self._file.write(self._change_of(batch, self._changed, self._dropped), lambda reason: None)
        self._file.close()

    def _write_soon(self, wait: float) -> None:
        due = max(self._loop.time() + wait, self._not_before)
        if self._busy or self._ended or (self._timer is not None and self._timer.when() <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._write)

    def _write(self) -> None:
        """One batch, and all that is small."""
        self._timer = None
        batch = self.pending.due(self._loop.time())
        if not (batch or self._changed or self._dropped):
            if len(self.pending):
                self._write_soon(TICK)
            return
        done = partial(self._done, batch, self._changed, self._dropped)

        def tell(reason: str | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(done, reason)

        change = self._change_of(batch, self._changed, self._dropped)
        self._changed, self._dropped, self._busy = {}, {}, True
        self._file.write(change, tell)

    def _change_of(self, batch: Batch, changed: Iterable[bytes], dropped: Iterable[bytes]) -> Change:
        gone = [(node_id,) for node_id in dropped]
        since = [(self._kept[node_id].since, node_id) for node_id in changed]
        rows = [(node_id, *_row(self._kept[node_id])) for node_id, _ in batch]
        return [
            ("DELETE FROM kept WHERE node_id = ?", gone),
            ("DELETE FROM blobs WHERE node_id = ?", gone),
            ("UPDATE kept SET since = ? WHERE node_id = ?", since),
            ("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)", rows),
            ("INSERT OR REPLACE INTO blobs VALUES (?, ?)", batch),
        ]

    def _done(self, batch: Batch, changed: dict[bytes, None], dropped: dict[bytes, None], reason: str | None) -> None:
        """The disk has it, or it waits for another try: the writer has said why."""
        self._busy, now = False, self._loop.time()
        if reason is None:
            self.pending.written(batch, now)
        else:
            self._not_before = now + RETRY
            self._changed |= {node_id: None for node_id in changed if node_id in self._kept}
            self._dropped |= {node_id: None for node_id in dropped if node_id not in self._kept}
        self._write_soon(0.0)


def _row(kept: Kept) -> tuple[int, float, float | None, str]:
    return kept.size, kept.stored, kept.since, kept.network
