"""The heartbeat of a control channel: whether the process at its other end still reads what it is told.

    Heartbeat(channel, timing.heartbeat, timing.control_timeout, silent)

For the master, and for all its children: a daemon, or a service's program. A ControlChannel answers by itself; hsmd and
blocking programs, which have none, answer a `heartbeat` by a `heartbeat_reply` in their own loops. An answer stands
behind all that the other end has still to say, and the question behind all that it has not taken yet.

Only time in which this process ran counts: after a suspension, a SIGSTOP or a long callback of our own the others were
not asked, or could not be heard.
"""

import asyncio
from collections.abc import Callable

from wire.control import control_wire
from wire.control.control_channel import ControlChannel

BEATS = 3
"""The least number of turns of the timer in which an answer must be missing."""


class Heartbeat:
    """Asks from now on, until the channel is closed, or `close` is called."""

    def __init__(
        self, channel: ControlChannel, interval: float, limit: float, silent: Callable[[], None], first: float = 0.0
    ) -> None:
        """`interval` and `limit` in seconds. `silent` is called once, when no answer has come for `limit`; more time
        than `interval` between two turns of the timer was not ours. `first`: the first answer may take so long, for the
        other end is still being loaded.
        """
        self._channel = channel
        self._interval = min(interval, limit / BEATS)
        self._limit = limit
        self.patience = max(limit, first)
        """Seconds for the next answer."""
        self._silent = silent
        self._loop = asyncio.get_running_loop()
        self._asked = False
        self._waited = 0.0
        self._then = self._loop.time()
        channel.on_heartbeat = self._answered
        self._timer = self._loop.call_later(self._interval, self._beat)

    def close(self) -> None:
        """Ask no more."""
        self._timer.cancel()

    def _answered(self) -> None:
        self._asked, self.patience = False, self._limit

    def _beat(self) -> None:
        if self._channel.closed:
            return
        now = self._loop.time()
        passed, self._then = min(now - self._then, self._interval), now
        if not self._asked:
            self._asked, self._waited = True, 0.0
            self._channel.send(control_wire.Heartbeat())
        else:
            self._waited += passed
        if self._waited >= self.patience:
            self._silent()
        else:
            self._timer = self._loop.call_later(self._interval, self._beat)
