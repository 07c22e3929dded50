"""Who waits for a block: waitblockheight."""

import asyncio
from collections.abc import Callable


class BlockWaiters:
    """Wakes all that wait whenever the chain has grown."""

    def __init__(self, blockheight: Callable[[], int]) -> None:
        """`blockheight`: of this moment, 0 while it is unknown."""
        self._blockheight = blockheight
        self._grown = asyncio.Event()

    def grown(self, blockheight: int) -> None:
        """The best chain ends at this height now."""
        self._grown.set()
        self._grown = asyncio.Event()

    async def until(self, blockheight: int, seconds: float) -> int:
        """The height, once it is so high. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self._blockheight() < blockheight:
                await self._grown.wait()
        return self._blockheight()
