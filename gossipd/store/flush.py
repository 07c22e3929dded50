"""When the store is written: once a turn of the loop, whatever has been appended in it, and again while it fails."""

import asyncio
from collections.abc import Callable

from gossipd.store.writer import GossipStore
from wire.control.status import Status

status = Status("gossipd")


class StoreFlush:
    """`changed` hears that the disk has failed, or works again."""

    def __init__(self, store: GossipStore, changed: Callable[[], None]) -> None:
        self.failed = False
        """Nothing can be written now; `retry` does it where that has ended."""
        self.scheduled = False
        """Something was appended in this turn, which readers of the file do not see yet."""
        self._store = store
        self._changed = changed
        self._done: list[Callable[[], None]] = []

    def schedule(self) -> None:
        """Something was appended."""
        if not self.scheduled:
            self.scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    def then(self, done: Callable[[], None]) -> None:
        """Call `done` when the store has on disk what was appended to it, be it that the disk is full for a while."""
        self._done.append(done)
        self.schedule()

    def retry(self) -> None:
        """If the disk has failed, try again."""
        if self.failed:
            self._flush()

    def _flush(self) -> None:
        self.scheduled = False
        try:
            self._store.flush()
        except OSError as error:
            if not self.failed:
                status.unusual(f"{self._store.path} cannot be written ({error}): no gossip is taken until it can")
                self.failed = True
                self._changed()
            return
        done, self._done = self._done, []
        for call in done:
            call()
        if self.failed:
            self.failed = False
            status.info(f"{self._store.path} can be written again")
            self._changed()
