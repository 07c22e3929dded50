"""All that keeps the map: the store and the index over it, their writer, and what tidies them up as time goes by."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from gossipd.feed import Feed
from gossipd.map import loading
from gossipd.map.compaction import Moved
from gossipd.map.compactor import Compactor
from gossipd.map.forget import Forgetting
from gossipd.map.gone import ENDING, Gone
from gossipd.map.own import OwnGossip
from gossipd.map.prune import Pruning
from gossipd.map.writer import MapWriter
from gossipd.store.flush import StoreFlush
from gossipd.store.records import BEGINNING_SIZE
from wire.control.limits import Limits


class Keeper:
    """Opens the store: raises StoreError or OSError."""

    def __init__(
        self,
        path: Path | str,
        node_id: bytes,
        prune_after: float,
        now: Callable[[], float],
        limits: Limits,
        tell_all: Callable[[list[bytes]], None],
        disk_changed: Callable[[], None],
        moved: Callable[[Moved], None],
        feed: Feed,
    ) -> None:
        """`tell_all` gets what is new of our own, `disk_changed` hears that the disk has failed or works again, and
        `moved` that the store was compacted.
        """
        self.store, self.index = loading.load(path)
        self.flush = StoreFlush(self.store, disk_changed)
        self.forgetting = Forgetting(self.store, self.index, self._gone(Path(path)), feed)
        self.own = OwnGossip(node_id, self.store, self.index, tell_all)
        self.writer = MapWriter(self.store, self.index, self.forgetting, self.own)
        self.compactor = Compactor(self.store, self.index, moved, limits.compact_size, limits.compact_ratio)
        self._pruning = Pruning(self.store, self.index, self.forgetting, prune_after, now)

    def _gone(self, store: Path) -> Gone:
        """What is remembered of channels that are gone; nothing, if the store was begun anew: perhaps the chain was."""
        path = store.with_name(store.name + ENDING)
        if self.store.size == BEGINNING_SIZE:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        return Gone(path)

    def tick(self) -> None:
        """Do what is due."""
        if self._pruning.tick() + self.forgetting.tick():
            self.flush.schedule()
        self.compactor.tick()
        self.flush.retry()

    def save(self) -> None:
        """So that the next start need not read the whole store."""
        with contextlib.suppress(OSError):
            loading.save(self.store, self.index)
