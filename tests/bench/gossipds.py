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
from tests.gossipd.gossipd_process import FakePeer, GossipdProcess
from wire.control.limits import Limits

POLL = 0.05
"""Seconds between two questions how far it is: each costs gossipd some 100 µs."""
UNBOUNDED = Limits(inbound=1_000_000, read_rate=0, gossip_peer_rate=0, gossip_total_rate=0)
"""What is measured is gossipd, not its patience with strangers."""
STALLED = 10.0
"""Seconds without progress after which it is not waited for any more."""


def _furnished(directory: Path, store: Path | None) -> GossipdProcess:
    directory.mkdir()
    if store is not None:
        shutil.copy(store, directory / "gossip_store")
    return GossipdProcess(directory)


@contextlib.asynccontextmanager
async def running_gossipd(directory: Path, store: Path | None = None, **init: Any) -> AsyncIterator[GossipdProcess]:
    """A gossipd without a chain, its store a copy of `store` or empty."""
    gossipd = _furnished(directory, store)
    try:
        await gossipd.start(**({"limits": UNBOUNDED} | init))
        yield gossipd
        gossipd.ends_well()
    finally:
        gossipd.clean_up()


@dataclass
class Spent:
    """CPU seconds, and the wall time they were spent in."""

    main: float
    workers: float
    wall: float


class Meter:
    """CPU of one gossipd from here on."""

    def __init__(self, gossipd: GossipdProcess) -> None:
        self._gossipd = gossipd
        self._workers = gossipd.workers()
        self._begin = self._now()

    @classmethod
    async def settled(cls, gossipd: GossipdProcess) -> Self:
        """From when it has nothing to do any more."""
        await gossipd.settled()
        return cls(gossipd)

    def _now(self) -> tuple[float, float, float]:
        return cpu_seconds(self._gossipd.process.pid), cpu_of(self._workers), time.monotonic()

    def read(self) -> Spent:
        """Since this meter was made."""
        return Spent(*(now - then for now, then in zip(self._now(), self._begin, strict=True)))


async def send_all(peer: FakePeer, stream: bytes) -> None:
    """Send what was encrypted before, however long it takes."""
    await asyncio.get_running_loop().sock_sendall(peer.sock, stream)


async def counted(gossipd: GossipdProcess, counters: tuple[str, ...], wanted: int) -> int:
    """Wait until these counters of gossip_status sum up to that, or move no more; the sum."""
    seen, since = -1, time.monotonic()
    while seen < wanted and time.monotonic() - since < STALLED:
        await asyncio.sleep(POLL)
        status = await gossipd.status()
        now = sum(status[name] for name in counters)
        if now != seen:
            seen, since = now, time.monotonic()
    return seen
