"""When the gossip_store is compacted, and at what pace: `compaction.py` on the daemon's loop."""

import asyncio
import contextlib
import os
from collections.abc import Callable

from gossipd.map.compaction import Compaction, Moved
from gossipd.map.index import MapIndex
from gossipd.store.writer import GossipStore
from wire.control.status import Status

PAUSE = 0.005
"""Seconds between two slices, for everything else: less than half of the loop's time is taken."""
RETRY = 3_600.0
"""Seconds after a failure (the disk is full) before it is tried again."""

Ended = Callable[[str | None], None]
"""Gets None, or why the store could not be compacted."""

status = Status("gossipd")


class Compactor:
    """Compacts a store when it is worth it. Call `tick` from time to time."""

    def __init__(
        self,
        store: GossipStore,
        index: MapIndex,
        moved: Callable[[Moved], None],
        min_size: int,
        dead_to_live: int,
    ) -> None:
        """`moved` is called in the same step in which offsets change, for whoever keeps one besides the index. It is
        worth it from `min_size` bytes on, with so many dead bytes for each live one.
        """
        self._store = store
        self._index = index
        self._moved = moved
        self._min_size = min_size
        self._dead_to_live = dead_to_live
        self.count = 0
        """Compactions since the start."""
        self._not_before = 0.0
        self._failure: str | None = None
        self._waiting: list[Ended] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether a compaction is under way."""
        return self._task is not None

    @property
    def is_worth_it(self) -> bool:
        """Whether the store is large and mostly dead."""
        size, dead = self._store.size, self._store.dead_bytes
        return size >= self._min_size and dead >= self._dead_to_live * (size - dead)

    def tick(self) -> None:
        """Begin if it is time."""
        loop = asyncio.get_running_loop()
        if not self.running and self.is_worth_it and loop.time() >= self._not_before:
            self.start()

    def start(self) -> None:
        """Begin now, unless it is under way."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
            self._task.add_done_callback(self._ended)

    def compact_now(self, ended: Ended) -> None:
        """Begin now, worth it or not, unless it is under way; `ended` is called at its end."""
        self._waiting.append(ended)
        self.start()

    def close(self) -> None:
        """Break it off; the store is as it was, or compacted."""
        if self._task is not None:
            self._task.cancel()

    async def wait(self) -> None:
        """Until the compaction under way has ended, if there is one."""
        if self._task is not None:
            await asyncio.wait([self._task])

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Our own bugs go to the loop's handler, which ends the daemon."""
        self._task = None
        if task.cancelled():
            return
        task.result()
        waiting, self._waiting = self._waiting, []
        for ended in waiting:
            ended(self._failure)

    async def _run(self) -> None:
        before, self._failure = self._store.size, None
        try:
            await self._compact()
        except OSError as error:
            self._not_before = asyncio.get_running_loop().time() + RETRY
            self._failure = f"{self._store.path} cannot be compacted: {error}"
            status.unusual(self._failure)
            return
        self.count += 1
        status.info(f"{self._store.path} is compacted: {before} -> {self._store.size} bytes")
        with contextlib.suppress(OSError):  # some file systems cannot
            await asyncio.to_thread(_sync_directory, str(self._store.path.parent))

    async def _compact(self) -> None:
        compaction = Compaction(self._store, self._index)
        try:
            # The second time only what came during the first; then what is not safe on the disk is seconds old.
            for _ in range(2):
                behind = True
                while behind:
                    behind = compaction.copy()
                    await asyncio.sleep(PAUSE)
                await asyncio.to_thread(compaction.sync)
            moved = compaction.finish()
        except BaseException:
            compaction.abandon()
            raise
        self._moved(moved)
        await asyncio.to_thread(compaction.release)


def _sync_directory(path: str) -> None:
    """The new name stays through a power cut as well."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
