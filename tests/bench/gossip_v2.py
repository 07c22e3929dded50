"""Gossip v2 beside v1: the same channels announced by both, each taken in by a gossipd of its own, in the same run.

The share of signatures of a message differs: a v1 announcement has four, one of v2 has one by the sum of four keys.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lightningd_py.tools.synthetic_gossip_v2 import SyntheticGossip2
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.bench.gossipds import Meter, counted, running_gossipd, send_all
from tests.bench.harness import Bench, Row
from tests.gossipd.messages import NOW

CHANNELS, NODES = 2_000, 600
HEIGHT = 800_000


ANNOUNCED, UPDATED, NODE = NAMES = "channel_announcement", "channel_update", "node_announcement"
Batches = dict[str, list[bytes]]


def _messages() -> tuple[Batches, Batches]:
    """Of v1 and of v2: announcements with a first update, without which v1 waits; the second updates; nodes."""
    made = SyntheticMap(random_edges(8, CHANNELS, NODES), 8, NOW)
    v2 = SyntheticGossip2(made, HEIGHT)
    of_v1 = [made.channel(number) for number in range(CHANNELS)]
    of_v2 = [v2.channel(number) for number in range(CHANNELS)]
    return {
        ANNOUNCED: [message for each in of_v1 for message in (each.announcement, each.updates[0])],
        UPDATED: [each.updates[1] for each in of_v1],
        NODE: [made.node_announcement(node, NOW - 5) for node in made.node_numbers()],
    }, {
        ANNOUNCED: [message for each in of_v2 for message in (each.announcement, each.updates[0])],
        UPDATED: [each.updates[1] for each in of_v2],
        NODE: [v2.node_announcement(node, HEIGHT) for node in made.node_numbers()],
    }


async def _taken_in(directory: Path, batches: Batches, counter: str, **init: Any) -> dict[str, float]:
    """µs of CPU a message of each type, one batch after the other over the same connection."""
    found = {}
    async with running_gossipd(directory, **init) as gossipd:
        peer = await gossipd.connect(tcp=True)
        for name, batch in batches.items():
            stream, before = peer.encrypt(*batch), (await gossipd.status())[counter]
            meter = await Meter.settled(gossipd)
            await send_all(peer, stream)
            if await counted(gossipd, (counter,), before + len(batch)) != before + len(batch):
                raise RuntimeError(f"not all are {counter}: {await gossipd.status()}")
            spent = meter.read()
            found[name] = (spent.main + spent.workers) * 1e6 / len(batch)
    found[ANNOUNCED] = 2 * found[ANNOUNCED] - found[UPDATED]
    return found


async def measure(bench: Bench) -> Iterator[Row]:
    """A row a type: v2's cost, v1's beside it."""
    first, second = _messages()
    one = await _taken_in(bench.directory / "v1", first, "accepted")
    two = await _taken_in(bench.directory / "v2", second, "v2_messages", gossip_v2=True)
    rows = [Row(f"gossip v2: {name}_2", two[name], "µs CPU/message", one[name], f"{name}") for name in NAMES]
    return iter(rows)
