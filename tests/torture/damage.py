"""Damage of the store: flipped bits, cut ends, rubbish and lost files between starts, and while the node runs."""

import asyncio
import contextlib
import os
import random
from collections import Counter
from pathlib import Path

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness.node import NETWORK, Node
from tests.harness.siege.siege import besiege
from tests.harness.siege.truth import lacks
from tests.torture.torture import Torture, small_truth, told
from wire.peer_wire import GossipTimestampFilter
from wire.types import NETWORKS

ROUNDS = 12
FLIPS = 20
QUIET = 3.0
"""Seconds without a message, after which a peer has been sent all that it will be."""


async def run(torture: Torture) -> None:
    """One node, started again and again; each time honest peers bring back what was lost."""
    truth = small_truth()
    done: Counter[str] = Counter()
    lost = served = 0
    harm: list[str] = []
    with torture.nodes("damage") as nodes:
        for number in range(torture.count(ROUNDS) + 1):
            node = await asyncio.to_thread(nodes.start, name="l1")
            lost += len(await lacks(node, truth)) if number else 0
            told_us = await _all_that_it_sends(node)
            served += len(told_us)
            harm += [f"sent to a peer, and never said by one: {raw.hex()}" for raw in told_us - set(truth)]
            outcome = await besiege(node, truth, (), 1)
            harm += [f"not on the map again: {text}" for text in outcome.lacks] + node.broken()
            if torture.chance.random() < 0.3:
                done[_damage(node.directory, torture.chance, running=True)] += 1
                with contextlib.suppress(PeerClosed, OSError):
                    await asyncio.sleep(1)
            await asyncio.to_thread(node.stop)
            nodes.expect_end(node)
            done[_damage(node.directory, torture.chance, running=False)] += 1
    figures = (
        f"{told(done)}: {lost} of {len(truth)} messages each lost in all and back, {served:,} sent, all of them true"
    )
    torture.tell("damage of the store", figures, harm)


def _damage(directory: Path, chance: random.Random, *, running: bool) -> str:
    """Do one of them; its name."""
    store = directory / "gossip_store"
    side = [path for path in directory.glob("gossip_store?*") if path.is_file()]
    ways = {"flips": _flip, "cuts": _cut, "rubbish at the end": _append, "zeros": _zero, "lost files": _lose}
    name = chance.choice([name for name in ways if not running or name in ("cuts", "lost files")])
    victim = chance.choice([store, *side]) if name != "lost files" or running else store
    if victim.exists():
        ways[name](victim, chance)
    return f"{name} while it ran" if running else name


def _lose(path: Path, chance: random.Random) -> None:
    path.unlink()


def _flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(FLIPS if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size + 1))


def _append(path: Path, chance: random.Random) -> None:
    with path.open("ab") as file:
        file.write(chance.randbytes(chance.randrange(1, 5_000)))


def _zero(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    start = chance.randrange(len(data) + 1)
    end = min(len(data), start + 4_096)
    data[start:end] = bytes(end - start)
    path.write_bytes(data)


async def _all_that_it_sends(node: Node) -> set[bytes]:
    """What a peer gets that asks for everything."""
    heard: set[bytes] = set()
    with contextlib.suppress(TimeoutError):
        async with await ScriptedPeer.connect(node.target) as peer:
            await peer.say(GossipTimestampFilter(NETWORKS[NETWORK], 0, 0xFFFFFFFF))
            while True:
                async with asyncio.timeout(QUIET):
                    raw = await peer.hear_raw()
                if raw[:2] in (b"\x01\x00", b"\x01\x01", b"\x01\x02"):
                    heard.add(raw)
    return heard
