"""Questions that take long, each in one thread after the other, with a bound for what waits and a store of answers."""

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

from wire.control.shares import Newest

T = TypeVar("T")
MOST_WAITING = 8
MOST_KEPT = 12


class Busy(Exception):
    """Too many wait already."""


class _Kept(NamedTuple):
    answer: bytes
    until: float


class Questions:
    """Answers are bytes, ready to be sent. The same question is asked once at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "questions")
        self._asked: dict[Hashable, asyncio.Future[bytes]] = {}
        self._kept: Newest[Hashable, _Kept] = Newest(MOST_KEPT)

    async def ask(self, key: Hashable, answer: Callable[[], bytes], fresh: float) -> bytes:
        """What `answer` returns, in the thread, or has returned for this key at most `fresh` seconds ago.

        Raises Busy, and what `answer` raises.
        """
        kept = self._kept.get(key)
        if kept is not None and self._clock() < kept.until:
            self._kept.put(key, kept)
            return kept.answer
        if key not in self._asked:
            if len(self._asked) >= MOST_WAITING:
                raise Busy
            self._asked[key] = asyncio.get_running_loop().run_in_executor(self._thread, answer)
            self._asked[key].add_done_callback(lambda done: self._done(key, done, fresh))
        return await asyncio.shield(self._asked[key])

    async def run(self, work: Callable[[], T]) -> T:
        """The same thread, for something of our own. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _done(self, key: Hashable, done: asyncio.Future[bytes], fresh: float) -> None:
        del self._asked[key]
        if not done.cancelled() and done.exception() is None:
            self._kept.put(key, _Kept(done.result(), self._clock() + fresh))

    async def close(self) -> None:
        """Wait for the one that is being answered; none after it is."""
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
