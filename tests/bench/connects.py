"""Inbound connects with Noise and INIT both ways against a whole node: CPU in each of its processes."""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.bench.harness import ROOT, Bench, Row, cpu_of, cpu_seconds
from tests.bench.nodes import Node, node

AT_ONCE = 8
SETTLING = 20.0
LOOK, MOST_IDLE = 0.3, 0.002
"""Seconds between looks, and of CPU in that time of all daemons of an idle node."""


async def _idle(started: Node) -> None:
    """Wait until the node has nothing left to do of its start: that is no part of what a connection costs."""
    before = 0.0
    async with asyncio.timeout(SETTLING):
        while (now := cpu_of(started.pids())) - before > MOST_IDLE:
            before = now
            await asyncio.sleep(LOOK)


async def _connected(started: Node, count: int) -> None:
    """Wait until gossipd owns them all."""
    async with asyncio.timeout(SETTLING):
        while (await started.rpc("gossipstatus"))["peers"] < count:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)


async def measure(bench: Bench) -> Iterator[Row]:
    """The clients are in another process and stay connected until all is read off."""
    count = 300 if bench.quick else 1_000
    async with node(bench.directory) as started:
        info = await started.rpc("getinfo")
        target = f"{info['id']}@127.0.0.1:{info['binding'][0]['port']}"
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.connects", target, str(count)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert client.stdin is not None and client.stdout is not None
        await client.stdout.readline()  # it is ready
        await _idle(started)
        pids = started.pids()
        begin = {pid: cpu_seconds(pid) for pid in pids}
        client.stdin.write(b"go\n")
        seconds = float(await client.stdout.readline())
        await _connected(started, count)
        spent: dict[str, float] = defaultdict(float)
        for pid, name in pids.items():
            spent[name] += (cpu_seconds(pid) - begin[pid]) / count * 1e6
        client.stdin.close()
        await client.wait()
    rows = [
        Row("connect: all daemons", sum(spent.values()), "µs CPU", None, "", "<= 900"),
        Row("connect: rate, client beside it", count / seconds, "/s"),
    ]
    targets = {"connectd": "<= 400"}
    parts = [Row(f"connect: {name}", each, "µs CPU", None, "", targets.get(name, "")) for name, each in spent.items()]
    return iter(rows + parts)


async def _be_clients(target: str, count: int) -> None:
    """Connect so many times, a few at once, and hold the connections until stdin ends."""
    print("ready", flush=True)
    sys.stdin.readline()
    left = iter(range(count))
    peers: list[ScriptedPeer] = []

    async def some() -> None:
        for _ in left:
            peers.append(await ScriptedPeer.connect(target))

    began = time.monotonic()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    print(time.monotonic() - began, flush=True)
    sys.stdin.read()
    for peer in peers:
        await peer.close()


if __name__ == "__main__":
    asyncio.run(_be_clients(sys.argv[1], int(sys.argv[2])))
