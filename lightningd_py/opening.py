"""When the node opens to the world: not before the services are there without which it must not."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from lightningd_py.registrations.registrations import Registrations
from wire.control.status import Status

status = Status("lightningd")


class Door:
    """Opens once, and stays open whoever leaves."""

    def __init__(
        self,
        required: Iterable[str],
        registrations: Registrations,
        activate: Callable[[], Awaitable[None]],
        opened: Callable[[], None],
    ) -> None:
        """`activate` has connectd accept and dial; `opened` is called once it does."""
        self._required = tuple(dict.fromkeys(required))
        self._registrations = registrations
        self._activate = activate
        self._opened = opened
        self._opening: asyncio.Task[None] | None = None
        self.is_open = False

    @property
    def waits_for(self) -> list[str]:
        """The services that are missing; none if it is open, or opens at this moment."""
        if self._opening is not None or self.is_open:
            return []
        return [name for name in self._required if not self._registrations.is_ready(name)]

    async def begin(self) -> None:
        """Open, unless somebody is missing: then as soon as everybody is there."""
        if missing := self.waits_for:
            status.info(f"waits for service {', '.join(missing)} before it connects to anybody")
        else:
            await self._open()

    def look(self) -> None:
        """Something has been registered."""
        if self._opening is None and not self.is_open and not self.waits_for:
            self._opening = asyncio.ensure_future(self._open())
            self._opening.add_done_callback(_done)

    async def _open(self) -> None:
        await self._activate()
        self.is_open = True
        self._opened()

    def close(self) -> None:
        """Open no more."""
        if self._opening is not None:
            self._opening.cancel()


def _done(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        task.get_loop().call_exception_handler({"message": "opening the door", "exception": error})
