"""A daemon that has died is restarted: by our own bug, kill -9, or the kernel's want of memory.

What it owned is lost, for the keys have died with it: each such connection has ended, and its node is dialled again if
it has an address. All else goes on. The new process is told everything by the same functions as the first one at the
start, and takes its place at once: until then a request to the daemon is refused, with the reason.
"""

import asyncio
import signal
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import field

from wire.control.status import Status
from wire.start.late_dataclass import dataclass

MOST_DEATHS = 5
"""So many within a minute end the node."""
MINUTE = 60.0
FIRST_WAIT = 0.25
"""Seconds until a daemon is restarted; doubles with each death of the last minute."""

status = Status("lightningd")


class Deaths:
    """How many there were lately. The clock is an argument."""

    def __init__(self) -> None:
        self.times: deque[float] = deque()

    def one_more(self, now: float) -> float | None:
        """Seconds to wait; None if there were too many."""
        self.times.append(now)
        while now - self.times[0] > MINUTE:
            self.times.popleft()
        return FIRST_WAIT * 2 ** (len(self.times) - 1) if len(self.times) < MOST_DEATHS else None


def manner(exit_status: int) -> str:
    """How a process has died."""
    if exit_status >= 0:
        return f"exit status {exit_status}"
    named = -exit_status in {int(number) for number in signal.Signals}
    return f"killed by {signal.Signals(-exit_status).name if named else f'signal {-exit_status}'}"


@dataclass(frozen=True, slots=True)
class DeathsLeft:
    """For the next program of this process. `times` are the monotonic clock's, `lost` nodes to be dialled again."""

    times: list[float] = field(default_factory=list)
    lost: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Restartable:
    """A daemon without which the node goes on for a while."""

    start: Callable[[], Awaitable[None]]
    """Starts another one, and returns when that has taken its place. Raises OSError if it cannot be started."""
    lost: Callable[[], None] = lambda: None
    """Ends what the dead one owned."""


class Restarts:
    """Hears of each death, and restarts the daemon: from `begin` on. Any other death ends the node."""

    def __init__(self, fail: Callable[[str], None]) -> None:
        """`fail` ends the node, with a reason."""
        self._fail = fail
        self._ready = False
        self._daemons: Mapping[str, Restartable] = {}
        self._dial_again: Callable[[Iterable[bytes]], None] = lambda node_ids: None
        self._deaths = Deaths()
        self._loop = asyncio.get_running_loop()
        self._away: dict[str, asyncio.Task[None]] = {}
        self._lost: set[bytes] = set()
        self.deaths: Counter[str] = Counter()
        self.restarted: Counter[str] = Counter()
        """How often each daemon has died, and was started in the place of a dead one."""

    def leave(self) -> "DeathsLeft":
        """For the next program of this process."""
        return DeathsLeft(list(self._deaths.times), sorted(self._lost))

    def resume(self, left: "DeathsLeft") -> None:
        """Go on counting."""
        self._deaths.times.extend(left.times)
        self._lost.update(left.lost)

    @property
    def away(self) -> list[str]:
        """Daemons that have died, and are not there again."""
        return list(self._away)

    @property
    def ready(self) -> bool:
        """The node has started, and does not end."""
        return self._ready

    def begin(self, daemons: Mapping[str, Restartable], dial_again: Callable[[Iterable[bytes]], None]) -> None:
        """Restart these, by their names. `dial_again` gets the nodes whose connections were lost, when all daemons are
        there.
        """
        self._ready, self._daemons, self._dial_again = True, daemons, dial_again
        self._dial()

    def close(self) -> None:
        """Start nothing any more."""
        self._ready = False
        for task in self._away.values():
            task.cancel()

    def refusal(self, name: str) -> str:
        """The answer to a request for which this daemon would be needed, and it is not there."""
        if not self._ready:
            return "the node is ending"
        return f"{name} has died and is being restarted: try again in a moment"

    # a death

    def died(self, name: str, exit_status: int) -> None:
        """All that the daemon has said has been heard."""
        self.deaths[name] += 1
        self._lose(name, f"{name} has died ({manner(exit_status)})")

    def _lose(self, name: str, what: str) -> None:
        wait = self._deaths.one_more(self._loop.time())
        if not self._ready or name not in self._daemons:
            self._fail(f"{what}: the node ends")
        elif wait is None:
            self._fail(f"{what}, which makes {MOST_DEATHS} deaths within a minute: the node ends")
        else:
            status.unusual(f"{what}: it is restarted in {wait:g} s")
            if before := self._away.get(name):
                before.cancel()
            task = self._away[name] = self._loop.create_task(self._restart(name, wait))
            task.add_done_callback(self._done)
            self._daemons[name].lost()

    def lost(self, node_id: bytes) -> None:
        """A connection of this node has ended with its owner: it is dialled again when all daemons are there."""
        self._lost.add(node_id)
        self._dial()

    # a new one

    async def _restart(self, name: str, wait: float) -> None:
        await asyncio.sleep(wait)
        try:
            await self._daemons[name].start()
        except OSError as error:
            self._lose(name, f"{name} cannot be started: {error.strerror or error}")
        else:
            del self._away[name]
            self.restarted[name] += 1
            status.info(f"{name} was restarted")
            self._dial()

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._loop.call_exception_handler({"message": "restarting a daemon", "exception": error})

    def _dial(self) -> None:
        if self._ready and not self._away and self._lost:
            lost, self._lost = self._lost, set()
            self._dial_again(lost)
