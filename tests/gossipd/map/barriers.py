"""What a test waits for, of a gossipd process, besides what GossipdProcess has."""

import asyncio

from tests.gossipd.gossipd_process import PATIENCE, GossipdProcess
from wire.control.control_wire import OutpointsSpent, OutpointsSpentReply


async def stored(gossipd: GossipdProcess) -> dict[str, int]:
    """Nothing is in the pipeline any more, and the store has on disk what came through it."""
    await gossipd.settled()
    async with asyncio.timeout(PATIENCE):
        await gossipd.master.request(OutpointsSpent(0, []), OutpointsSpentReply)
    return await gossipd.status()
