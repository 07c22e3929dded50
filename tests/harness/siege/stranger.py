"""A scripted peer that comes from an address of its own, and can take what it is sent without a look at it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from wire.address import parse_peer
from wire.features import Features
from wire.frames import FrameError
from wire.noise import HandshakeError

LOST = (PeerClosed, OSError, HandshakeError, FrameError, TimeoutError)
"""What one may meet whose connection is taken away at any moment."""


class Stranger(ScriptedPeer):
    """One connection."""

    @classmethod
    async def dial_from(cls, target: str, source: str, privkey: bytes | None = None) -> Self:
        """Connect the socket from this address of the machine's, and say nothing."""
        their_id, address = parse_peer(target)
        assert address is not None
        streams = await asyncio.open_connection(address.host, address.port, local_addr=(source, 0))
        return cls(*streams, privkey=privkey, their_id=their_id)

    @classmethod
    async def connect_from(
        cls, target: str, source: str, features: Features | None = None, patience: float = 30.0
    ) -> Self:
        """The same, and handshake and INIT."""
        peer = await cls.dial_from(target, source)
        try:
            async with asyncio.timeout(patience):
                await peer.shake_hands()
                await peer.exchange_init(features=features)
        except BaseException:
            await peer.close()
            raise
        return peer

    async def close(self) -> None:
        """Hang up at once: what was not sent yet, because the node takes no more, is dropped."""
        self._writer.transport.abort()
        await super().close()

    async def swallow(self) -> None:
        """Take all that is sent, still encrypted, until the other side closes; nothing can be heard afterwards."""
        with contextlib.suppress(PeerClosed):
            while True:
                await self._read_some()

    @contextlib.asynccontextmanager
    async def swallowing(self) -> AsyncIterator[None]:
        """The same beside a block."""
        task = asyncio.create_task(self.swallow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
