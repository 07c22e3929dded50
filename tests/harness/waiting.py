"""For what another process does and does not tell: asked again until it is so, and given up after a while."""

import asyncio
from collections.abc import Awaitable, Callable


async def until(
    reached: Callable[[], Awaitable[bool]], complaint: str | Callable[[], str], within: float = 60.0
) -> None:
    """Returns once `reached` says true; AssertionError with the complaint, as it is then, after `within` seconds."""
    pause = 0.005
    try:
        async with asyncio.timeout(within):
            while not await reached():
                await asyncio.sleep(pause)
                pause = min(2 * pause, 0.1)
    except TimeoutError:
        raise AssertionError(complaint if isinstance(complaint, str) else complaint()) from None
