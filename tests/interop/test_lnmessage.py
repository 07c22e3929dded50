"""lnmessage (npm), which speaks to nodes from a browser, comes in by WebSocket: a node process of its own."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.harness.node import Node, Nodes
from tests.interop.conftest import Program, pins

HERE = Path(__file__).parent / "lnmessage"
PING, PONG, CUSTOM = 18, 19, 0x8001
COMMANDO = 0x4C4F


def ping(pong_bytes: int, ignored: int) -> str:
    return f"{PING:04x}{pong_bytes:04x}{ignored:04x}" + "00" * ignored


class LnMessage:
    """The program lnmessage/peer.mjs; each call is one of its commands."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def __call__(self, command: str, **arguments: Any) -> dict[str, Any]:
        return dict(await self._program.answer(command, **arguments))

    async def dial(self, node: Node) -> str:
        """Connected, INITs exchanged; its node_id."""
        (binding,) = (text for text in node.bindings if text.startswith("ws:"))
        answer = await self("connect", node_id=node.node_id, port=int(binding.rpartition(":")[2]))
        assert answer["connected"]  # which it says when it has sent its INIT: a ping shows that we have it
        await self("send", messages=[ping(0, 0)])
        await self.hear(PONG)
        return str(answer["node_id"])

    async def hear(self, number: int, count: int = 1) -> list[str]:
        """The next messages of this type."""
        return list((await self("hear", number=number, count=count))["messages"])


@pytest.fixture(scope="session")
def modules(node_modules: Callable[[Sequence[str]], Path]) -> Path:
    """node_modules with what package.json pins."""
    return node_modules(pins(HERE / "package.json"))


@pytest.fixture
def lnmessage(modules: Path) -> Iterator[LnMessage]:
    program = Program("node", HERE / "peer.mjs", modules)
    yield LnMessage(program)
    program.end()


@pytest.fixture
def node(nodes: Nodes) -> Node:
    return nodes.start("--bind-addr=ws:127.0.0.1:0")


@pytest.mark.bolt("B1-20", "B1-25", "B8-42")
async def test_it_connects_and_is_a_peer_like_any(lnmessage: LnMessage, node: Node) -> None:
    assert {"type": "websocket", "subtype": "ipv4"}.items() <= (await node.rpc("getinfo"))["binding"][1].items()
    node_id = await lnmessage.dial(node)
    peer = await node.peer(node_id)
    assert (peer["connected"], peer["owner"], peer["direction"]) == (True, "gossipd", "in")
    assert peer["netaddr"][0].startswith("127.0.0.1:")
    await lnmessage("disconnect")
    await node.logged("hung up|disconnected")


@pytest.mark.bolt("B1-37")
async def test_pings_both_ways_up_to_the_longest_message(lnmessage: LnMessage, node: Node) -> None:
    node_id = await lnmessage.dial(node)
    for size in (0, 1, 1000, 65531):
        await lnmessage("send", messages=[ping(size, 65529 - min(size, 65529))])
        (pong,) = await lnmessage.hear(PONG)
        assert len(pong) == 2 * (4 + size)
    assert (await node.rpc("ping", id=node_id, len=100, pongbytes=200))["totlen"] == 204
    assert (await node.rpc("ping", id=node_id, len=60000, pongbytes=10000))["totlen"] == 10004


async def test_a_thousand_messages_each_way(lnmessage: LnMessage, node: Node) -> None:
    """Past the first rotations of the keys; a commando request, which is not served here, is none the worse."""
    node_id = await lnmessage.dial(node)
    await lnmessage("send", messages=[f"{COMMANDO:04x}" + "00" * 100] * 1000)
    for number in range(3):
        await node.rpc("sendcustommsg", node_id=node_id, msg=f"{CUSTOM:04x}" + f"{number:02x}" * 30_000)
    assert await lnmessage.hear(CUSTOM, 3) == [f"{CUSTOM:04x}" + f"{number:02x}" * 30_000 for number in range(3)]
    await lnmessage("send", messages=[ping(7, 0)] * 500)
    assert len(await lnmessage.hear(PONG, 500)) == 500


async def test_we_end_it(lnmessage: LnMessage, node: Node) -> None:
    node_id = await lnmessage.dial(node)
    await node.rpc("disconnect", id=node_id, force=True)
    await lnmessage("closed")
