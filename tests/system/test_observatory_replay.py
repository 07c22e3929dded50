"""A record said again to a node, which then has the map that was heard."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from gossipd.gossmap import Gossmap
from lightningd_py.observatory.exchange.importing import Importing
from lightningd_py.observatory.record.messages import message_row
from lightningd_py.observatory.tables.schemas import IN
from tests.harness.node import Nodes
from tests.harness.observatories import observe, refused
from tests.harness.small_map import make_small_map

T0 = 1_790_000_000_000_000_000


@pytest.mark.long
async def test_node_has_the_map_that_is_said_again(nodes: Nodes, tmp_path: Path) -> None:
    messages = list(make_small_map().messages())
    with Importing(tmp_path / "record", "east") as into:
        for number, raw in enumerate(messages):
            sha256, at = hashlib.sha256(raw).digest(), T0 + number * 1_000_000
            peer = bytes([2, number % 3]) + bytes(31)
            row = at, "east", sha256[:16], peer, 1, False, IN, None, raw[1] + 256, len(raw), "new", None
            into.add("arrivals", row)
            into.add("messages", message_row("east", at, sha256, raw, True))
    node = nodes.start()
    when = ("1790000000", "1790000100")
    words = ("replay", tmp_path / "record", *when, "--node", node.target, "--speed", "10")
    told = await asyncio.to_thread(observe, *words)
    assert told == f"{len(messages):,} messages were said\n"
    with Gossmap(node.directory / "gossip_store") as gossmap:
        while len(list(gossmap.channels())) < sum(raw[1] == 0 for raw in messages):
            await node.rpc("getinfo")  # what is being checked comes a moment after the pong
            gossmap.refresh()
    told = await asyncio.to_thread(
        refused, "replay", tmp_path / "record", *when, "--node", f"{node.node_id}@127.0.0.1:1"
    )
    assert "127.0.0.1:1 does not listen any more" in told
