"""LDK's own RapidGossipSync (lightningdevkit from npm) takes our snapshots: its graph is ours after each.

The map is small: in WebAssembly the public network's takes LDK a minute.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.observatory.rgs.history import History
from lightningd_py.observatory.rgs.snapshots import Snapshots
from lightningd_py.tools.synthetic_map import SignedChannel, SyntheticMap, random_edges
from tests.interop.conftest import pins
from tests.interop.ldks import PACKAGE, Ldk
from wire.gossip_layout import channel_scid, node_timestamp
from wire.types import NETWORKS

CHANNELS, NODES = 600, 150
HOUR = 3600


@pytest.fixture(scope="module")
def made() -> tuple[SyntheticMap, list[SignedChannel], list[bytes]]:
    known = SyntheticMap(random_edges(3, CHANNELS, NODES), seed=3, now=int(time.time()))
    return known, list(known.channels()), list(known.node_announcements())


@pytest.fixture
async def ldk(node_modules: Callable[[Sequence[str]], Path], tmp_path: Path) -> AsyncIterator[Ldk]:
    async with contextlib.AsyncExitStack() as running:
        found = await Ldk.start(node_modules(pins(PACKAGE)), tmp_path / "ldk.log")
        running.push_async_callback(found.stop)
        yield found


class Server:
    """The snapshots of a store that is written again before each step, an hour later each time."""

    def __init__(self, folder: Path, nodes: list[bytes]) -> None:
        self.folder, self.nodes = folder, nodes
        self.store = folder / "gossip_store"
        self.at = int(time.time()) // HOUR * HOUR - 6 * HOUR
        self.found: Snapshots | None = None

    def step(self, channels: list[SignedChannel], updates: dict[tuple[int, int], bytes]) -> History:
        part = self.folder / "part"
        store = GossipStore.open(part)
        for channel in channels:
            store.append_channel(channel.announcement, 0, channel.capacity_sat)
            for direction, raw in enumerate(channel.updates):
                store.append(updates.get((channel_scid(channel.announcement), direction), raw), 0)
        for raw in self.nodes:
            store.append(raw, node_timestamp(raw))
        store.close()
        part.rename(self.store)
        if self.found is None:
            self.found = Snapshots(self.folder / "rgs", self.store, HOUR, NETWORKS["regtest"])
        self.at += HOUR
        return self.found.step(self.at)

    def file(self, version: int, timestamp: int) -> Path:
        assert self.found is not None
        path = self.folder / "snapshot"
        path.write_bytes(self.found.find(version, timestamp, self.at, as_gzip=False))
        return path

    def close(self) -> None:
        if self.found is not None:
            self.found.close()


def graph_of(history: History) -> dict[str, list[list[Any]]]:
    found = {}
    for scid, known in history.channels.items():
        sides = []
        for side in known.sides:
            cltv, least, base, ppm, most = side.values
            sides.append([cltv, str(least), base, ppm, str(most), side.disabled])
        found[str(scid)] = sides
    return found


@pytest.mark.long
@pytest.mark.parametrize("version", [1, 2])
async def test_ldk_has_our_graph_after_each_snapshot(
    ldk: Ldk, tmp_path: Path, made: tuple[SyntheticMap, list[SignedChannel], list[bytes]], version: int
) -> None:
    """Full; three increments, in which channels come and a value goes from A to B to A; and nothing."""
    known, channels, nodes = made
    scids = [channel_scid(channel.announcement) for channel in channels]
    now = int(time.time())
    updates: dict[tuple[int, int], bytes] = {}

    def says(number: int, direction: int, ppm: int) -> None:
        updates[scids[number], direction] = known.update(number, direction, now, ppm)

    with contextlib.closing(Server(tmp_path, nodes)) as server:
        timestamp = 0

        async def sync(count: int) -> None:
            nonlocal timestamp
            history = server.step(channels[:count], updates)
            answer = await ldk("apply_snapshot", path=str(server.file(version, timestamp)), now=int(time.time()))
            timestamp = answer["timestamp"]
            assert timestamp == history.now == server.at
            theirs = (await ldk("whole_graph"))["channels"]
            assert theirs == graph_of(history) and len(theirs) == count

        says(0, 0, 111)
        await sync(CHANNELS - 20)
        says(0, 0, 222)
        says(1, 1, 5)
        await sync(CHANNELS - 20)
        says(0, 0, 111)
        await sync(CHANNELS - 10)
        for number in range(50, 80):
            says(number, number % 2, 4_000_000)
        await sync(CHANNELS)
        await sync(CHANNELS)
        assert server.file(version, timestamp).stat().st_size < 60, "empty"
        if version == 2:
            addresses = (await ldk("address_counts"))["nodes"]
            history = server.step(channels, updates)
            assert addresses == {node_id.hex(): len(node.said.addresses) for node_id, node in history.nodes.items()}
            assert sum(addresses.values()) > NODES // 2
