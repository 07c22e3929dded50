"""Whose bytes are parsed next: sources take turns, a step each, and one that has used up its rate waits.

A step is bounded, so a turn of the loop is, and what one source sends costs the others no more than their own number.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import field
from typing import Generic, TypeVar

from wire.start.late_dataclass import dataclass

TURN = 0.005
"""Seconds of steps in one turn of the loop."""
NO_LIMIT = 1e15

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Share(Generic[T]):
    """What one source has to be done. `left` is the work that it may still have done, `at` as of when."""

    rate: float
    left: float
    at: float
    users: int = 0
    queue: deque[T] = field(default_factory=deque)
    waits: bool = False
    """Among those that take turns, or will be when its time has come."""

    def refill(self, now: float) -> None:
        self.left = min(self.rate, self.left + (now - self.at) * self.rate)
        self.at = now


class Turns(Generic[T]):
    """`step` does a bounded piece of an item's work: how much that was, and whether there is more. Called by the loop,
    and never after the item's source has been left for the last time, but for items that are still to be done then.
    """

    def __init__(self, step: Callable[[T], tuple[int, bool]], loop: asyncio.AbstractEventLoop) -> None:
        self._step = step
        self._loop = loop
        self._shares: dict[Hashable, _Share[T]] = {}
        self._ready: deque[_Share[T]] = deque()
        self._scheduled = False

    def __len__(self) -> int:
        """Sources that are known."""
        return len(self._shares)

    def enter(self, source: Hashable, rate: int) -> None:
        """One more of a source, all of which may have `rate` work done in a second; 0 for no limit."""
        of_all = float(rate or NO_LIMIT)
        share = self._shares.setdefault(source, _Share(of_all, of_all, self._loop.time()))
        share.users += 1

    def left(self, source: Hashable) -> float:
        """What a source may still have done now."""
        share = self._shares[source]
        share.refill(self._loop.time())
        return share.left

    def go_on(self, source: Hashable, left: float) -> None:
        """A source comes from another process, where it might still have so much done."""
        share = self._shares[source]
        share.left = min(share.left, left)

    def leave(self, source: Hashable) -> None:
        """One less."""
        share = self._shares[source]
        share.users -= 1
        if not share.users:
            del self._shares[source]

    def add(self, item: T, source: Hashable) -> None:
        """This item has work to be done; once, until its step has said that there is no more."""
        share = self._shares[source]
        share.queue.append(item)
        if not share.waits:
            share.waits = True
            share.refill(self._loop.time())
            self._take_turns(share)

    def _take_turns(self, share: _Share[T]) -> None:
        self._ready.append(share)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        until = self._loop.time() + TURN
        while self._ready and self._loop.time() < until:
            self._serve(self._ready.popleft())
        if self._ready and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _serve(self, share: _Share[T]) -> None:
        item = share.queue.popleft()
        work, more = self._step(item)
        share.left -= work
        if more:
            share.queue.append(item)
        if not share.queue:
            share.waits = False
        elif share.left > 0:
            self._ready.append(share)
        else:
            self._loop.call_later(-share.left / share.rate, self._resume, share)

    def _resume(self, share: _Share[T]) -> None:
        share.refill(self._loop.time())
        self._take_turns(share)
