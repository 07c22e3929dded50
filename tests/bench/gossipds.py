"""A gossipd of its own for a benchmark, and what is measured of it."""

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.bench.harness import cpu_of, cpu_seconds
from tests.gossipd.house import FakePeer, House
from wire.control.limits import Limits

POLL = 0.05
"""Seconds between two questions how far it is: each costs gossipd some 100 µs."""
UNBOUNDED = Limits(inbound=1_000_000, read_rate=0, gossip_peer_rate=0, gossip_total_rate=0)
"""What is measured is gossipd, not its patience with strangers."""
STALLED = 10.0
"""Seconds without progress after which it is not waited for any more."""


def _furnished(directory: Path, store: Path | None) -> House:
    directory.mkdir()
    if store is not None:
        shutil.copy(store, directory / "gossip_store")
    return House(directory)


@contextlib.asynccontextmanager
async def gossipd(directory: Path, store: Path | None = None, **init: Any) -> AsyncIterator[House]:
    """A gossipd without a chain, its store a copy of `store` or empty."""
    house = _furnished(directory, store)
    try:
        await house.start(**({"limits": UNBOUNDED} | init))
        yield house
        house.ends_well()
    finally:
        house.clean_up()


@dataclass
class Spent:
    """CPU seconds, and the wall time they were spent in."""

    main: float
    workers: float
    wall: float


class Meter:
    """CPU of one gossipd from here on."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._workers = house.workers()
        self._begin = self._now()

    @classmethod
    async def settled(cls, house: House) -> Self:
        """From when it has nothing to do any more."""
        await house.settled()
        return cls(house)

    def _now(self) -> tuple[float, float, float]:
        return cpu_seconds(self._house.process.pid), cpu_of(self._workers), time.monotonic()

    def read(self) -> Spent:
        """Since this meter was made."""
        return Spent(*(now - then for now, then in zip(self._now(), self._begin, strict=True)))


async def send_all(peer: FakePeer, stream: bytes) -> None:
    """Send what was encrypted before, however long it takes."""
    await asyncio.get_running_loop().sock_sendall(peer.sock, stream)


async def counted(house: House, counters: tuple[str, ...], wanted: int) -> int:
    """Wait until these counters of gossip_status sum up to that, or move no more; the sum."""
    seen, since = -1, time.monotonic()
    while seen < wanted and time.monotonic() - since < STALLED:
        await asyncio.sleep(POLL)
        status = await house.status()
        now = sum(status[name] for name in counters)
        if now != seen:
            seen, since = now, time.monotonic()
    return seen
