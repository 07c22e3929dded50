"""Stale channels are forgotten: those whose older update is older than two weeks. BOLT 7, Pruning (B7-103).

A direction that has never spoken counts as if it had with the channel's first update. A channel without any update
goes when it is found so at two checks in a row.
"""

from gossipd.map.around import Around
from gossipd.map.forget import Forgetting
from gossipd.map.index import MapIndex
from gossipd.store.writer import GossipStore
from wire.control.status import Status

CHECKS = 4
"""In the time after which a channel is stale, so every 3.5 days."""
FIRST_CHECK = 3_600.0
"""Seconds after the start at most: what has gone stale while we were away should have been refreshed by then."""
BATCH = 200
"""Channels that are forgotten in one step, 5 to 10 ms."""

status = Status("gossipd")


class Pruning:
    """Call `tick` from time to time; it does at most one batch."""

    def __init__(
        self, store: GossipStore, index: MapIndex, forgetting: Forgetting, prune_after: float, around: Around
    ) -> None:
        """`prune_after`: seconds, from `timing.gossip_prune`."""
        self._store = store
        self._index = index
        self._forgetting = forgetting
        self._prune_after = prune_after
        self._around = around
        self._interval = prune_after / CHECKS
        self._next_check = around.now() + min(FIRST_CHECK, self._interval)
        self._silent = self._find()[1]
        self._stale: list[int] = []

    def tick(self) -> int:
        """Look for stale channels if it is time, and forget some. Returns how many."""
        if not self._stale and self._around.now() >= self._next_check:
            self._check()
        batch, self._stale = self._stale[:BATCH], self._stale[BATCH:]
        return self._forgetting.prune(batch)

    def _check(self) -> None:
        self._next_check = self._around.now() + self._interval
        stale, silent = self._find()
        self._stale = stale + sorted(silent & self._silent)
        self._silent = silent
        if self._stale:
            status.info(f"{len(self._stale)} stale channels are forgotten")

    def _find(self) -> tuple[list[int], set[int]]:
        """Channels with an update that is too old, or a missing one, and those without any. Dying ones have their own
        end."""
        index = self._index
        before = int(self._around.now() - self._prune_after)
        stale, silent = [], set()
        for row, (one, two) in enumerate(zip(*index.update_ts, strict=True)):
            if (one >= before and two >= before) or not index.announce_off[row] or index.scid[row] in index.dying:
                continue
            if not one and not two:
                silent.add(index.scid[row])
            elif (one and two) or self._first_update(row) < before:
                stale.append(index.scid[row])
        return stale, silent

    def _first_update(self, row: int) -> int:
        """The time that the record of the announcement carries; if it has none, that of the one update there is."""
        known = max(self._index.update_ts[0][row], self._index.update_ts[1][row])
        return self._store.timestamp(self._index.announce_off[row]) or known
