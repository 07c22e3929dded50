"""What attacks share: where the node is, how long they may go on, and ways to come again after being hung up on."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.harness.siege.stranger import LOST, Stranger
from wire.features import Features
from wire.message import BoltMessage

HERE = "127.0.0.1"
"""All of Tor comes from there, and so no bound for one address holds."""
MOST = 5_000
"""Connections that one attack makes at most."""
PAUSE = 0.05
"""Seconds between a connection that was lost and the next one."""


@dataclass
class Attacker:
    """One attack's view. `web` is `host:port` of the node's WebSockets, empty if it has none."""

    target: str
    web: str
    truth: list[bytes]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    figures: Counter[str] = field(default_factory=Counter)
    """What was done, by name."""

    def source(self, number: int = 0) -> str:
        """An address of a network that no honest peer has."""
        return f"127.{220 + number % 30}.{number // 30}.9"

    async def connect(self, source: str = HERE, features: Features | None = None) -> Stranger:
        """One more connection."""
        peer = await Stranger.connect_from(self.target, source, features)
        self.figures["connections"] += 1
        return peer

    async def say(self, peer: Stranger, messages: Sequence[bytes | BoltMessage]) -> None:
        """All of them, in one write."""
        await peer.say(*messages)
        self.figures["messages"] += len(messages)

    async def flood(
        self, messages: Sequence[bytes | BoltMessage], source: str = HERE, *, pause: float = 0.0, listens: bool = True
    ) -> None:
        """The same messages again and again, over one connection at a time; what comes back is not looked at."""

        async def over(peer: Stranger) -> None:
            async with peer.swallowing() if listens else contextlib.nullcontext():
                while True:
                    await self.say(peer, messages)
                    await asyncio.sleep(pause)

        await self.again(over, source)

    async def again(self, over: Callable[[Stranger], Awaitable[None]], source: str = HERE) -> None:
        """Do this over a connection, and over another one when it was lost."""
        for _ in range(MOST):
            with contextlib.suppress(*LOST):
                async with await self.connect(source) as peer:
                    await over(peer)
            await asyncio.sleep(PAUSE)


Attack = Callable[[Attacker], Coroutine[Any, Any, None]]
