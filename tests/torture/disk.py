"""The disk is full, and has room again: on a small file system, which only root can mount."""

import asyncio
import contextlib
import os
from pathlib import Path

from tests.harness.siege.siege import besiege
from tests.harness.small_disk import small_disk
from tests.torture.torture import Torture, figures_of, small_truth

SECONDS = 30
SIZE = 3_000_000


async def run(torture: Torture) -> None:
    """Full for two thirds of the time, from the beginning on: most of the map comes meanwhile."""
    if os.geteuid():
        torture.tell("disk full", "left out: only root can mount a small file system")
        return
    with torture.nodes("disk") as nodes, small_disk(nodes.directory("l1") / "small", SIZE):
        directory = nodes.directory("l1") / "small"
        node = nodes.start(f"--lightning-dir={directory}", name="l1")
        node.lightning_dir, node.directory = directory, directory / "regtest"
        seconds = torture.count(SECONDS)
        filling = asyncio.create_task(_fill(directory / "filling", seconds * 2 / 3))
        outcome = await besiege(node, small_truth(), (), seconds, meanwhile=filling)
        asked = (await node.rpc("gossipstatus"))["asked"]
        torture.tell("disk full", f"{asked} channels asked for: {figures_of(outcome)}", outcome.harm())
        await asyncio.to_thread(node.stop)


async def _fill(file: Path, seconds: float) -> None:
    """Until nothing fits, for so long."""
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as out:
        while out.write(bytes(4_096)):
            pass
    try:
        await asyncio.sleep(seconds)
    finally:
        os.unlink(file)  # noqa: PTH108 - on a disk in memory
