"""`restart`, from the side of who asks for it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from lightningd_py.daemons.moving import Moved, Mover, MoveRefused, Others


class Log:
    """A log writer that is replaced when the test says so."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.done = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.replaced = 0

    async def replace(self) -> None:
        """See NodeLog."""
        self.begun.set()
        await self.go_on.wait()
        self.replaced += 1
        self.done.set()


def mover_of(log: Log) -> Mover:
    """One that can restart the log writer."""
    nothing: Any = SimpleNamespace(setup=SimpleNamespace(supervisor=None))
    others: Any = Others(nothing, nothing, nothing, nothing, log, lambda: True)  # type: ignore[arg-type]

    async def become(what: str) -> None:
        raise MoveRefused(f"not {what}")

    return Mover(nothing, others, become)


async def test_what_has_begun_is_finished_if_the_client_that_asked_goes() -> None:
    """A daemon to which nothing is said any more would be deaf for ever."""
    log = Log()
    mover = mover_of(log)
    asking = asyncio.create_task(mover.restart("log"))
    await log.begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    with pytest.raises(MoveRefused, match="log is being restarted"):
        await mover.restart("log")
    log.go_on.set()
    await log.done.wait()
    await asyncio.sleep(0)  # it says so, too
    assert isinstance(await mover.restart("log"), Moved)
    assert log.replaced == 2


async def test_refusal_is_told() -> None:
    mover = mover_of(Log())
    for _ in range(2):
        with pytest.raises(MoveRefused, match="not master"):
            await mover.restart("master")
