"""An event loop whose time is the test's: it stands still while there is anything to do, then jumps to the next timer.

    with asyncio.Runner(loop_factory=InjectedTime) as runner:
        runner.run(ten_minutes())        # takes as long as the work in them

So what happens in which order does not depend on how fast the machine is. It fits tests whose other ends are on the
same loop. Where another process works for us, `set_waits_for` says so: time stands still until that has answered.
"""

import asyncio
import selectors
from collections.abc import Callable

START = 1_000.0
"""Any number that is not 0."""


class _Selector(selectors.DefaultSelector):
    """A selector that lets time pass where it would sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.waits_for: Callable[[], bool] = lambda: False
        self.looks_on: Callable[[], None] = lambda: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.looks_on()
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None or self.waits_for():
            return super().select(None)
        self.now += timeout
        return []


class InjectedTime(asyncio.SelectorEventLoop):
    """See above."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds since START's zero."""
        return self._clock.now

    def jump(self, seconds: float) -> None:
        """So much time passes in which nothing was done here: as if the process had been stopped."""
        self._clock.now += seconds

    def set_waits_for(self, busy: Callable[[], bool]) -> None:
        """Time stands still while this is true; what it waits for must wake the loop."""
        self._clock.waits_for = busy

    def set_looks_on(self, look: Callable[[], None]) -> None:
        """Call this in each turn, after all that was ready has run."""
        self._clock.looks_on = look
