"""Stale channels are forgotten: those whose older update is older than two weeks. BOLT 7, Pruning (B7-103).

A direction that has never spoken counts as if it had with the channel's first update. A channel without any update
goes when it is found so at two checks in a row.

What is stale is a question to the wall clock, which may be wrong: after it has jumped (a sleep, a clock that was set)
nothing is pruned for a while, in which fresh updates come; and what would take a large share of the map at once is
pruned only when the next check finds it, too, without such a jump in between.
"""

from gossipd.map.around import Around
from gossipd.map.forget import Forgetting
from gossipd.map.index import MapIndex
from gossipd.map.jumps import Jumps
from gossipd.store.writer import GossipStore
from wire.control.status import Status

CHECKS = 4
"""In the time after which a channel is stale, so every 3.5 days."""
FIRST_CHECK = 3_600.0
"""Seconds after the start, or a jump of the clock, at most: what has gone stale while we were away should have been
refreshed by then."""
BATCH = 200
"""Channels that are forgotten in one step, 5 to 10 ms."""
SHARE = 4
"""A fourth of the map at once is suspicious,"""
FEW = 20
"""but not so many channels."""

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
        self._first_check = min(FIRST_CHECK, self._interval)
        self._next_check = around.clock() + self._first_check
        self._jumps = Jumps(around, self._first_check)
        self._silent = self._find()[1]
        self._stale: list[int] = []
        self._suspicious = False
        """The last check has found so many that the next one decides."""

    def tick(self) -> int:
        """Look for stale channels if it is time, and forget some. Returns how many."""
        if self._has_jumped():
            return 0
        if not self._stale and self._around.clock() >= self._next_check:
            self._check()
        batch, self._stale = self._stale[:BATCH], self._stale[BATCH:]
        return self._forgetting.prune(filter(self._is_still_stale, batch))

    def _has_jumped(self) -> bool:
        """Whether wall and monotonic clock have parted since the last tick: then all that was found waits."""
        if not (jump := self._jumps.look()):
            return False
        self._stale, self._suspicious = [], False
        self._next_check = self._around.clock() + self._first_check
        status.unusual(f"the clock has jumped by {jump:.0f} s: no channel is pruned for {self._first_check:.0f} s")
        return True

    def _check(self) -> None:
        self._next_check = self._around.clock() + self._interval
        stale, silent = self._find()
        stale += sorted(silent & self._silent)
        self._silent = silent
        if len(stale) > max(FEW, len(self._index.channels) // SHARE) and not self._suspicious:
            self._suspicious = True
            status.unusual(
                f"{len(stale)} of {len(self._index.channels)} channels seem to be stale: is the clock right? "
                f"They are pruned if they still are so in {self._interval:.0f} s"
            )
            return
        self._stale, self._suspicious = stale, False
        if stale:
            status.info(f"{len(stale)} stale channels are forgotten")

    def _find(self) -> tuple[list[int], set[int]]:
        """Channels with an update that is too old, or a missing one, and those without any. Dying ones have their own
        end."""
        index, before = self._index, self._before()
        stale, silent = [], set()
        for row, (one, two) in enumerate(zip(*index.update_ts, strict=True)):
            if (one >= before and two >= before) or not index.announce_off[row] or index.scid[row] in index.dying:
                continue
            if not one and not two:
                silent.add(index.scid[row])
            elif self._is_stale(row, before):
                stale.append(index.scid[row])
        return stale, silent

    def _before(self) -> int:
        """Unix seconds: what is older is stale."""
        return int(self._around.now() - self._prune_after)

    def _is_stale(self, row: int, before: int) -> bool:
        one, two = self._index.update_ts[0][row], self._index.update_ts[1][row]
        return min(one, two) < before and bool((one and two) or self._first_update(row) < before)

    def _is_still_stale(self, scid: int) -> bool:
        """An update may have come since the check."""
        row = self._index.channels.get(scid)
        return row is not None and scid not in self._index.dying and self._is_stale(row, self._before())

    def _first_update(self, row: int) -> int:
        """The time that the record of the announcement carries; if it has none, that of the one update there is."""
        known = max(self._index.update_ts[0][row], self._index.update_ts[1][row])
        return self._store.timestamp(self._index.announce_off[row]) or known
