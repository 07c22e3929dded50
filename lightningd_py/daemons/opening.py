"""When the node opens to the world: connectd is activated when the services are there without which it must not be."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from lightningd_py.registrations.registrations import Registrations
from wire.control.status import Status

status = Status("lightningd")


class Opening:
    """Opens once, and stays open when a service leaves."""

    def __init__(self, required: Iterable[str], registrations: Registrations, *, is_open: bool = False) -> None:
        """`required`: services without which the node neither accepts nor dials. `is_open`: it does already."""
        self._required = tuple(dict.fromkeys(required))
        self._registrations = registrations
        self._open: Callable[[], Awaitable[None]] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._is_open = is_open

    @property
    def waits_for(self) -> list[str]:
        """The services that are missing; none if the node is open, or opens at this moment."""
        if self._opening is not None or self._is_open:
            return []
        return [name for name in self._required if not self._registrations.is_ready(name)]

    @property
    def is_open(self) -> bool:
        """The node accepts and dials."""
        return self._is_open

    async def begin(self, open_node: Callable[[], Awaitable[None]]) -> None:
        """Open, unless a service is missing: then as soon as all are there. `open_node` is called once."""
        if not self._is_open and (missing := self.waits_for):
            status.info(f"waits for service {', '.join(missing)} before it connects to any node")
            self._open = open_node
        else:
            self._is_open = True
            await open_node()

    def registrations_changed(self) -> None:
        """Open if that was all that was missing."""
        if self._open is not None and self._opening is None and not self.waits_for:
            self._opening = asyncio.ensure_future(self._open())
            self._opening.add_done_callback(self._done)

    def close(self) -> None:
        """Open no more."""
        if self._opening is not None:
            self._opening.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        if error := task.exception():
            task.get_loop().call_exception_handler({"message": "opening the node", "exception": error})
        self._is_open = True
