"""A hundred peers say onion messages as fast as they can, and an honest one beside them is heard, and each message is
counted where it ended.
"""

import asyncio
from contextlib import AsyncExitStack

import pytest

from lightningd_py.oniond.oniond import OUTCOMES
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness import processes
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until
from tests.system.test_metrics import Page, scrape, value
from tests.system.test_onion_messages import PAYLOAD, Side, onion
from wire.onion.blinding import path_to
from wire.onion.message import Final
from wire.secp256k1 import new_secret, public_key

FLOODERS, EACH, AT_A_TIME = 100, 50, 20
OTHERS = 5
MOST_GROWTH = 30_000_000
"""Bytes, of all processes together."""
OPTIONS = (
    "--onion-messages=all",
    "--metrics-addr=127.0.0.1:0",
    "--max-connect-rate=0",
    "--max-inbound=1000",
    "--max-inbound-per-source=1000",
    "--max-half-open-per-source=1000",
)
BEFORE_ONIOND = ("no_channel", "away", "oniond_behind")


def ended(page: Page) -> dict[str, float]:
    """Onion messages of peers, by where each ended: with its owner, in the master before oniond, or in oniond."""
    found = {"owner": value(page, "onion_messages_dropped_total", process="gossipd")}
    for reason in BEFORE_ONIOND:
        found[reason] = value(page, "onion_messages_not_passed_total", reason=reason)
    for outcome in OUTCOMES:
        found[outcome] = value(page, "onion_messages_total", outcome=outcome)
    return found


def memory(node: Node) -> int:
    """Bytes, of all its processes."""
    return sum(map(processes.resident, node.pids().values()))


async def connected(node: Node, until_the_end: AsyncExitStack) -> list[ScriptedPeer]:
    """The flooders."""
    peers: list[ScriptedPeer] = []
    while len(peers) < FLOODERS:
        some = await asyncio.gather(*(ScriptedPeer.connect(node.target) for _ in range(AT_A_TIME)))
        for peer in some:
            await until_the_end.enter_async_context(peer)
        peers += some
    return peers


@pytest.mark.bolt("B4-128")
async def test_a_hundred_peers(nodes: Nodes) -> None:
    node = nodes.start(*OPTIONS)
    honest, friend = [Side(0x31 + number) for number in range(OTHERS)], Side(0x41)
    async with AsyncExitStack() as until_the_end:
        for side in (*honest, friend):
            await until_the_end.enter_async_context(await side.join(node))
        flooders = await connected(node, until_the_end)
        our_id = bytes.fromhex(node.node_id)
        nowhere = onion(path_to([our_id, public_key(b"\x55" * 32)], None, new_secret()))
        before = memory(node)
        floods = [asyncio.create_task(flooder.say(*[nowhere] * EACH)) for flooder in flooders]
        for number, side in enumerate(honest):
            await side.peer.say(onion(path_to([our_id, friend.node_id], None, new_secret()), bytes([number])))
            await side.peer.sync()
        heard = [await friend.hears() for _ in honest]
        assert sorted(map(str, heard)) == [str(Final({PAYLOAD: bytes([number])}, None)) for number in range(OTHERS)]
        await asyncio.gather(*floods)
        await asyncio.gather(*(flooder.sync() for flooder in flooders))  # all are still there
        pages: list[Page] = []

        async def all_counted() -> bool:
            pages.append(await scrape(node))
            found = ended(pages[-1])
            led_nowhere = value(pages[-1], "onion_messages_not_passed_total", reason="not_connected")
            return sum(found.values()) == FLOODERS * EACH + OTHERS and led_nowhere == found["forwarded"] - OTHERS

        await until(all_counted, lambda: f"of {FLOODERS * EACH + OTHERS}: {ended(pages[-1])}")
        counted = {name: count for name, count in ended(pages[-1]).items() if count}
        assert counted.keys() <= {"owner", "forwarded", "too_many"}
        assert counted["owner"] >= FLOODERS * EACH // 2
        assert memory(node) - before < MOST_GROWTH
