"""All that keeps the map: the store and the index over it, their writer, and what tidies them up as time goes by."""

import asyncio
import contextlib
from pathlib import Path

from gossipd.feed import Feed
from gossipd.map import loading
from gossipd.map.around import Around
from gossipd.map.compaction import Compactor
from gossipd.map.forget import Forgetting
from gossipd.map.gone import ENDING, Gone
from gossipd.map.own import OwnGossip
from gossipd.map.prune import Pruning
from gossipd.map.writer import MapWriter
from gossipd.store.flush import StoreFlush
from gossipd.store.records import BEGINNING_SIZE
from wire.control.control_wire import GossipdInit
from wire.control.status import Status

status = Status("gossipd")


class Keeper:
    """Opens the store: raises StoreError or OSError."""

    def __init__(self, init: GossipdInit, around: Around, feed: Feed) -> None:
        """`init` says where the store is, who we are, and what is worth it."""
        path = Path(init.store)
        self.store, self.index = store, index = loading.load(path)
        self.flush = StoreFlush(store, around.disk_changed)
        self.forgetting = Forgetting(store, index, self._gone(path), feed)
        self.own = OwnGossip(init.node_id, store, index, around)
        self.writer = MapWriter(store, index, self.forgetting, self.own)
        self.compactor = Compactor(store, index, around, init.limits)
        self._pruning = Pruning(store, index, self.forgetting, init.timing.gossip_prune, around)
        store.on_damage = self._look_soon
        self._looks = False

    def _gone(self, store: Path) -> Gone:
        """What is remembered of channels that are gone; nothing, if the store is new: perhaps the chain is, too."""
        path = store.with_name(store.name + ENDING)
        if self.store.size == BEGINNING_SIZE:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        return Gone(path)

    def tick(self) -> None:
        """Do what is due."""
        self._look_after_the_file()
        if self._pruning.tick():
            self.flush.schedule()
        self.compactor.tick()
        self.flush.retry()

    def _look_soon(self) -> None:
        """Something was found damaged: forget it before anything else looks for it."""
        if not self._looks:
            self._looks = True
            asyncio.get_running_loop().call_soon(self._look_after_the_file)

    def _look_after_the_file(self) -> None:
        """What others, or the disk, have done to it: what is lost is forgotten."""
        self._looks = False
        with contextlib.suppress(OSError):
            self.store.mend()
        damaged, self.store.damaged = self.store.damaged, []
        for start, stop in damaged:
            lost = self.forgetting.lose(start, stop)
            status.unusual(f"{self.store.path} is damaged from {start} to {stop}: {lost} messages are lost")
            self.flush.schedule()

    def pause(self) -> None:
        """Let the file go, for another gossipd. Raises OSError."""
        self.compactor.close()
        self.store.flush()
        self.save()
        self.store.unlock()

    def resume(self) -> None:
        """The other one has not begun: the file is ours again. Raises StoreError if it has written something."""
        self.store.lock()

    def save(self) -> None:
        """So that the next start need not read the whole store."""
        with contextlib.suppress(OSError):
            if not loading.save(self.store, self.index):
                status.unusual(f"{self.store.path} is damaged: the next start reads the whole of it")
