"""listchannels of the whole map: how long the client waits, what the master spends, how long others wait meanwhile."""

import asyncio
import json
import shutil
import time
from collections.abc import Iterator

from tests.bench.harness import Bench, Row, cpu_seconds
from tests.bench.nodes import Node, node


async def worst_wait(started: Node) -> float:
    """Seconds, of a client that asks for something small again and again while another one lists all channels."""
    asked, worst = asyncio.create_task(started.raw_rpc("listchannels")), 0.0
    while not asked.done():
        began = time.monotonic()
        await started.raw_rpc("getinfo")
        worst = max(worst, time.monotonic() - began)
        await asyncio.sleep(0.01)
    return worst


async def measure(bench: Bench) -> Iterator[Row]:
    """The second call: the first one indexes the store besides."""
    directory = bench.directory / "regtest"
    directory.mkdir()
    shutil.copy(bench.map.path, directory / "gossip_store")
    async with node(bench.directory) as started:
        await started.raw_rpc("listchannels")
        cpu, began = cpu_seconds(started.process.pid), time.monotonic()
        answer = await started.raw_rpc("listchannels")
        wall, cpu = time.monotonic() - began, cpu_seconds(started.process.pid) - cpu
        worst = await worst_wait(started)
    result = json.loads(answer)["result"]
    begin = time.process_time()
    json.dumps(result)
    bare = time.process_time() - begin
    name = f"listchannels, {len(result['channels']):,} directions"
    return iter(
        [
            Row(name, wall * 1e3, "ms", bare * 1e3, "json.dumps alone", "<= 400"),
            Row("listchannels: the master", cpu * 1e3, "ms CPU", bare * 1e3, "json.dumps alone"),
            Row("listchannels: others wait", worst * 1e3, "ms", target="<= 20"),
        ]
    )
