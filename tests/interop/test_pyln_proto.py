"""pyln-proto's LightningConnection, as client and as server, with our node on the other side."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.node import NETWORK, Node, Nodes
from tests.harness.small_map import CHANNELS, NODES
from tests.interop.conftest import Program

INIT, PING, PONG = 16, 18, 19
CUSTOM = 0x8001
REGTEST = "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"
OUR_INIT = "0010" + "0000" + "0002a282" + "0120" + REGTEST
"""Optional bits 1, 7, 9, 13, 15, and the chain."""
MESSAGES = 2000
"""Four rotations of each key: one in 500 messages."""
LONGEST = 65535


class PylnPeer:
    """The program pyln/peer.py, connected with our node, both INITs exchanged."""

    def __init__(self, program: Program, node: Node) -> None:
        self.ask = program.answer
        self.node = node
        self.node_id = ""

    async def dial(self) -> None:
        await self.ask("connect", node_id=self.node.node_id, host="127.0.0.1", port=self.node.port)

    async def be_dialled(self) -> None:
        port = await self.ask("listen")
        connecting = asyncio.create_task(self.node.rpc("connect", id=self.node_id, host="127.0.0.1", port=port))
        assert await self.ask("accept") == self.node.node_id
        await self.say(OUR_INIT)
        assert (await connecting)["direction"] == "out"

    async def say(self, *messages: str) -> None:
        await self.ask("send", messages=messages)

    async def sync(self) -> None:
        """A ping and its pong: all that was said before is handled."""
        await self.say(ping(0))
        await self.hear(PONG)

    async def hear(self, number: int, count: int = 1) -> list[str]:
        return list(await self.ask("receive", number=number, count=count))


@pytest.fixture
def node(nodes: Nodes) -> Node:
    return nodes.start()


@pytest.fixture(params=["it dials us", "we dial it"])
async def peer(node: Node, pyln: Callable[..., Any], request: pytest.FixtureRequest) -> PylnPeer:
    peer = PylnPeer(pyln("peer.py"), node)
    peer.node_id = await peer.ask("node_id")
    if request.param == "we dial it":
        await peer.be_dialled()
    else:
        await peer.dial()
        await peer.say(OUR_INIT)
    await peer.sync()
    return peer


def ping(pong_bytes: int, ignored: int = 0) -> str:
    return f"{PING:04x}{pong_bytes:04x}{ignored:04x}" + "00" * ignored


@pytest.mark.bolt("B1-20", "B1-25")
async def test_init_comes_first_and_names_the_chain(peer: PylnPeer) -> None:
    (init,) = await peer.hear(INIT)
    assert "0120" + REGTEST in init
    assert (await peer.ask("first"))[:4] == f"{INIT:04x}"


@pytest.mark.bolt("B1-37", "B1-5")
async def test_pings_and_unknown_odd_messages(peer: PylnPeer) -> None:
    await peer.say(ping(65532), f"{CUSTOM:04x}ff", ping(7, 1000))
    assert await peer.hear(PONG) == [f"{PONG:04x}0007" + "00" * 7]
    assert (await peer.node.rpc("ping", id=peer.node_id, len=100, pongbytes=200))["totlen"] == 204


@pytest.mark.long
@pytest.mark.bolt("B8-52", "B8-50")
async def test_many_messages_each_way_across_key_rotations(peer: PylnPeer) -> None:
    """Pings with their pongs, and custom messages of ours among them: each way 2,000 and 4,000 messages."""
    custom = [f"{CUSTOM:04x}{number:08x}" for number in range(MESSAGES)]

    async def send_ours() -> None:
        for message in custom:
            await peer.node.rpc("sendcustommsg", node_id=peer.node_id, msg=message)

    await asyncio.gather(send_ours(), peer.say(*(ping(number) for number in range(MESSAGES))))
    pongs = await peer.hear(PONG, MESSAGES)
    assert [len(pong) // 2 - 4 for pong in pongs] == list(range(MESSAGES))
    assert await peer.hear(CUSTOM, MESSAGES) == custom


@pytest.mark.bolt("B8-51", "B1-3")
async def test_the_longest_message_each_way(peer: PylnPeer) -> None:
    await peer.say(ping(LONGEST - 4, LONGEST - 6))
    (pong,) = await peer.hear(PONG)
    assert len(pong) // 2 == LONGEST


async def test_it_hangs_up_and_comes_back(node: Node, pyln: Callable[..., Any]) -> None:
    peer = PylnPeer(pyln("peer.py"), node)
    for _ in range(3):
        await peer.dial()
        await peer.say(OUR_INIT)
        await peer.sync()
        await peer.ask("close")


@pytest.mark.long
@pytest.mark.parametrize("what", ["gossipd", "connectd", "master", "all"])
async def test_it_does_not_notice_a_restart(
    nodes: Nodes, pyln: Callable[..., Any], small_map_store: Path, what: str
) -> None:
    """All pongs in their order, and the map that it has asked for before, each message once."""
    shutil.copy(small_map_store, nodes.directory("l1") / NETWORK / "gossip_store")
    node = nodes.start(name="l1")
    peer = PylnPeer(pyln("peer.py"), node)
    await peer.dial()
    await peer.say(OUR_INIT)
    await peer.sync()
    restarting = asyncio.create_task(node.rpc("restart", what=what))
    await peer.say("0109" + REGTEST + "00000000" + "ffffffff")
    sizes: list[int] = []
    while not restarting.done():
        sizes += [number % 1_000 for number in range(len(sizes), len(sizes) + 20)]
        await peer.say(*map(ping, sizes[-20:]))
    assert (await restarting)["lost"] == 0
    await peer.say(ping(1_000))
    sizes.append(1_000)
    assert [len(pong) // 2 - 4 for pong in await peer.hear(PONG, len(sizes))] == sizes
    for number, count in ((256, CHANNELS), (258, 2 * CHANNELS), (257, NODES)):
        assert len(set(await peer.hear(number, count))) == count
