"""A peer that pings all the time, and notices whatever happens to its connection."""

import asyncio
import time

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.waiting import until
from wire.peer_wire import Ping, Pong


class Pinger:
    """A peer that pings all the time: `worst` is its slowest pong, in seconds."""

    def __init__(self, peer: ScriptedPeer) -> None:
        self.peer = peer
        self.worst = 0.0
        self.pongs = 0
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            began = time.monotonic()
            size = self.pongs % 1_000
            await self.peer.say(Ping(size, b""))
            assert len((await self.peer.hear(Pong)).ignored) == size, "each pong once, and in order"
            self.worst = max(self.worst, time.monotonic() - began)
            self.pongs += 1

    async def goes_on(self) -> None:
        """Wait until it is answered after this moment."""
        before = self.pongs

        async def answered() -> bool:
            return self.pongs > before + 1 or self._task.done()

        await until(answered, "no pong comes any more")
        if self._task.done():
            self._task.result()

    async def end(self) -> None:
        """Hang up."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.peer.close()
