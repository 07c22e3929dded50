"""The wall clock is set at random, for all processes of the node: by a sitecustomize that they import."""

import asyncio
import os
import random
import struct
from pathlib import Path

from tests.harness.siege.siege import besiege
from tests.torture.torture import Torture, figures_of, small_truth

SECONDS = 60
FARTHEST = 30 * 86_400
SITE = """
import mmap, os, struct, time
with open(os.environ["TORTURED_CLOCK"], "rb") as _file:
    _offset = mmap.mmap(_file.fileno(), 8, prot=mmap.PROT_READ)
_time = time.time
time.time = lambda: _time() + struct.unpack("d", _offset)[0]
time.time_ns = lambda: int(time.time() * 1_000_000_000)
"""


async def run(torture: Torture) -> None:
    """One line. At the end the clock is right again."""
    clock = torture.directory / "clock"
    clock.write_bytes(bytes(8))
    site = torture.directory / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE)
    os.environ |= {"TORTURED_CLOCK": str(clock), "PYTHONPATH": str(site)}
    jumps: list[float] = []
    with torture.nodes("clocks") as nodes:
        node = nodes.start()
        del os.environ["PYTHONPATH"]
        jumping = asyncio.create_task(_jump(clock, torture.chance, jumps))
        try:
            outcome = await besiege(node, small_truth(), (), torture.count(SECONDS), meanwhile=jumping)
        finally:
            jumping.cancel()
            await asyncio.gather(jumping, return_exceptions=True)
        farthest = max(map(abs, jumps)) / 86_400
        torture.tell(
            "clock set", f"{len(jumps)} times, up to {farthest:.0f} days: {figures_of(outcome)}", outcome.harm()
        )


def _set(clock: Path, offset: float) -> None:
    with clock.open("r+b") as file:
        file.write(struct.pack("d", offset))


async def _jump(clock: Path, chance: random.Random, jumps: list[float]) -> None:
    """Until it is cancelled, which sets it right."""
    try:
        while True:
            await asyncio.sleep(chance.uniform(0.5, 3.0))
            jumps.append(chance.choice([0.0, *(chance.uniform(-FARTHEST, FARTHEST) for _ in range(2))]))
            _set(clock, jumps[-1])
    finally:
        _set(clock, 0.0)
