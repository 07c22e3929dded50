"""What goes on in the daemon between events: a coroutine a handshake or a long request, and what comes later."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from wire.control.control_channel import ChannelClosed


class Tasks:
    """A set of running tasks. What was not expected in one of them is our own bug, and goes to the loop's handler."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many are running."""
        return len(self._running)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it to its end."""
        task = asyncio.create_task(coroutine)
        self._running.add(task)
        task.add_done_callback(self._done)

    def later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call it then, if we are still there."""
        asyncio.get_running_loop().call_later(seconds, callback)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if task.cancelled() or isinstance(task.exception(), ChannelClosed):
            return  # whose own handler knows what to do
        task.result()
