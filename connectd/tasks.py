"""What goes on in the daemon between events: a coroutine a handshake or a long request, and what comes later.

A long request is a task of asyncio's. A handshake is driven by what it waits for: bytes of its connection, the answer
of hsmd. Each resumes it in the same call, and not in another turn of the loop; a task, its timeout and its turns took a
fifth of what a connection cost connectd.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wire.control.asked import DirectFuture
from wire.control.control_channel import ChannelClosed


class Driven:
    """A coroutine on its way from one future to the next. `ended` is called once, with what was not caught in it."""

    __slots__ = ("_coroutine", "_ended", "_waits_for")

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], ended: Callable[["Driven", BaseException | None], None]
    ) -> None:
        self._coroutine = coroutine
        self._ended = ended
        self._waits_for: asyncio.Future[Any] | None = None

    @property
    def waits(self) -> bool:
        """Whether it has not ended."""
        return self._waits_for is not None

    def go_on(self, _: object = None) -> None:
        """What it has waited for is there."""
        self._step(self._coroutine.send, None)

    def fail(self, error: BaseException) -> None:
        """Have this raised where it waits."""
        if self._waits_for is not None:
            if isinstance(self._waits_for, DirectFuture):
                self._waits_for.on_done = None
            else:
                self._waits_for.remove_done_callback(self.go_on)
            self._waits_for.cancel()
            self._step(self._coroutine.throw, error)

    def _step(self, resume: Callable[[Any], Any], what: object) -> None:
        self._waits_for = None
        try:
            future = resume(what)
        except StopIteration:
            self._ended(self, None)
        except BaseException as error:
            self._ended(self, error)
        else:
            future._asyncio_future_blocking = False  # asyncio's sign that it was awaited and not yielded
            self._waits_for = future
            if isinstance(future, DirectFuture):
                future.on_done = self.go_on
            else:
                future.add_done_callback(self.go_on)


class Tasks:
    """All that is running. What was not expected in one of them is our own bug, and goes to the loop's handler."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None] | Driven] = set()

    def __len__(self) -> int:
        """How many are running."""
        return len(self._running)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it to its end."""
        task = asyncio.create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._done)

    def drive(self, coroutine: Coroutine[Any, Any, None]) -> Driven:
        """The same, at once up to what it waits for first, and on in each call that brings that: so no `timeout` may be
        in it."""
        driven = Driven(coroutine, self._driven_done)
        self._running.add(driven)
        driven.go_on()
        return driven

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call it then, if we are still there."""
        asyncio.get_running_loop().call_later(seconds, callback)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled() or isinstance(task.exception(), ChannelClosed):
            return  # whose own handler knows what to do
        task.result()

    def _driven_done(self, driven: Driven, error: BaseException | None) -> None:
        self._running.discard(driven)
        if error is not None and not isinstance(error, ChannelClosed):
            about = {"message": "a handshake has ended unexpectedly", "exception": error}
            asyncio.get_running_loop().call_exception_handler(about)


class Deadlines:
    """Driven coroutines that have all the same time, by number: one timer for all, set for the oldest."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._running: dict[int, tuple[float, Driven]] = {}
        """In the order of their deadlines."""
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, number: int, driven: Driven) -> None:
        """Its time runs: when it is over a TimeoutError is raised where it waits."""
        if not driven.waits:
            return
        at = self._loop.time() + self._seconds
        self._running[number] = at, driven
        if self._timer is None:
            self._timer = self._loop.call_at(at, self._on_timer)

    def end(self, number: int) -> None:
        """Forget its deadline: it has come in time, or has none left to come."""
        self._running.pop(number, None)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._running:
            number = next(iter(self._running))
            at, driven = self._running[number]
            if at > now:
                self._timer = self._loop.call_at(at, self._on_timer)
                return
            del self._running[number]
            driven.fail(TimeoutError())
