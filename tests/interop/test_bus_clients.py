"""Services in other languages on the buses: a channel service in JavaScript (zeromq and msgpack from npm), and beside
it one in plain pyzmq, with channels to the same peer.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness.bus_client import BusService
from tests.harness.moves import TEMPORARY_ID, opening, owner, said
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until
from tests.interop.conftest import pins
from tests.interop.javascript_services import PACKAGE, JavaScriptService
from wire.secp256k1 import public_key

EXCHANGED = 10_000
OPEN_CHANNEL, ACCEPT_CHANNEL, UPDATE_FEE, CHANNEL_REESTABLISH = 32, 33, 134, 136
PRIVKEY = bytes([7]) * 32
PEER_ID = public_key(PRIVKEY)
FIRST, SECOND = bytes([1]) * 32, bytes([2]) * 32
"""channel_ids"""


def about(number: int, channel_id: bytes, more: bytes = bytes(48)) -> bytes:
    """A channel message."""
    return number.to_bytes(2, "big") + channel_id + more


@pytest.fixture(scope="session")
def modules(node_modules: Callable[[Sequence[str]], Path]) -> Path:
    """node_modules with what package.json pins."""
    return node_modules(pins(PACKAGE))


@pytest.fixture
def services(modules: Path) -> Iterator[Callable[[], JavaScriptService]]:
    """Starts services; all are ended."""
    with contextlib.ExitStack() as running:
        yield lambda: running.enter_context(JavaScriptService.started(modules))


@pytest.fixture
def node(nodes: Nodes) -> Node:
    return nodes.start()


@pytest.fixture
async def peer(node: Node) -> AsyncIterator[ScriptedPeer]:
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        yield peer


async def test_a_service_in_javascript_has_a_conversation(
    node: Node, peer: ScriptedPeer, services: Callable[[], JavaScriptService]
) -> None:
    """open_channel, its answer, 10,000 messages each way, and the peer is given back."""
    service = services()
    await service.join(node, "channels")
    await service("register", take=[OPEN_CHANNEL])
    await peer.say(opening())
    taken = await service("taken")
    assert taken["node_id"] == peer.node_id.hex()
    assert (await peer.hear(ACCEPT_CHANNEL)).encode()[2:34] == TEMPORARY_ID
    assert await owner(node, peer) == "channels"
    sent = [about(UPDATE_FEE, TEMPORARY_ID, number.to_bytes(4, "big")) for number in range(EXCHANGED)]

    async def speak() -> None:
        for start in range(0, EXCHANGED, 500):
            await peer.say(*sent[start : start + 500])

    speaking = asyncio.create_task(speak())
    heard = [(await peer.hear(UPDATE_FEE)).encode() for _ in range(EXCHANGED)]
    await speaking
    assert heard == sent
    types = (await service("said", conn_id=taken["conn_id"], count=1 + EXCHANGED))["types"]
    assert types == [OPEN_CHANNEL] + [UPDATE_FEE] * EXCHANGED
    await service("give_back", conn_id=taken["conn_id"])
    await until(lambda: _owned_by(node, peer, "gossipd"), "gossipd has it")
    await peer.sync()


async def test_a_service_in_javascript_across_a_restart(
    node: Node, peer: ScriptedPeer, services: Callable[[], JavaScriptService]
) -> None:
    """Each message arrives once and in order, both ways, while connectiond is replaced."""
    service = services()
    await service.join(node, "channels")
    await service("register", take=[OPEN_CHANNEL])
    await peer.say(opening())
    taken = await service("taken")
    await peer.hear(ACCEPT_CHANNEL)
    sent = [about(UPDATE_FEE, TEMPORARY_ID, number.to_bytes(4, "big")) for number in range(2_000)]
    half = asyncio.Event()

    async def speak() -> None:
        await peer.say(*sent[:500])
        half.set()
        for start in range(500, len(sent), 100):
            await peer.say(*sent[start : start + 100])

    async def hear() -> list[bytes]:
        return [(await peer.hear(UPDATE_FEE)).encode() for _ in sent]

    speaking, hearing = asyncio.create_task(speak()), asyncio.create_task(hear())
    await half.wait()
    assert (await node.rpc("restart", what="connectiond"))["moved"] == 1
    assert await hearing == sent
    await speaking
    types = (await service("said", conn_id=taken["conn_id"], count=1 + len(sent)))["types"]
    assert types == [OPEN_CHANNEL] + [UPDATE_FEE] * len(sent)
    assert await owner(node, peer) == "channels"


async def _owned_by(node: Node, peer: ScriptedPeer, name: str) -> bool:
    return await owner(node, peer) == name


async def test_two_services_have_channels_with_one_peer(node: Node, services: Callable[[], JavaScriptService]) -> None:
    """Each hears what is about its own channels, and may give its part back without the other."""
    first = services()
    await first.join(node, "first")
    await first("register", channels=[[FIRST.hex(), PEER_ID.hex()]])
    async with BusService("second", node.directory) as second:
        await second.join()
        await second.ask("register", channels=[{"channel_id": SECOND, "node_id": PEER_ID}])
        async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
            conn_id = (await first("taken"))["conn_id"]
            assert (await second.taken())["conn_id"] == conn_id
            assert (await peer.hear(CHANNEL_REESTABLISH)).encode()[2:34] == FIRST
            await peer.say(about(UPDATE_FEE, SECOND), about(UPDATE_FEE, FIRST), about(UPDATE_FEE, SECOND, b"2"))
            assert await second.hear_peer(conn_id) == about(UPDATE_FEE, SECOND)
            assert await second.hear_peer(conn_id) == about(UPDATE_FEE, SECOND, b"2")
            assert (await first("said", conn_id=conn_id, count=1))["types"] == [UPDATE_FEE]
            assert (await peer.hear(UPDATE_FEE)).encode() == about(UPDATE_FEE, FIRST)
            await second.say(conn_id, about(UPDATE_FEE, SECOND, b"answer"))
            assert (await peer.hear(UPDATE_FEE)).encode() == about(UPDATE_FEE, SECOND, b"answer")
            await first("give_back", conn_id=conn_id)
            await peer.say(about(UPDATE_FEE, SECOND, b"3"))
            assert await second.hear_peer(conn_id) == about(UPDATE_FEE, SECOND, b"3")
            await until(lambda: _owned_by(node, peer, "second"), "the second service stands for it")
            await second.msg.say("give_back", conn_id=conn_id)
            await second.msg.hear("peer_given_back", conn_id=conn_id)
            await until(lambda: _owned_by(node, peer, "gossipd"), "gossipd has it")
            await peer.sync()


async def test_a_service_speaks_first_on_every_reconnection(
    node: Node, services: Callable[[], JavaScriptService]
) -> None:
    """Also after the service has died with the peer in its hands, and has come back."""
    service = services()
    await service.join(node, "channels")
    await service("register", channels=[[FIRST.hex(), PEER_ID.hex()]])
    for _ in range(3):
        async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
            assert (await peer.hear(CHANNEL_REESTABLISH)).encode() == about(CHANNEL_REESTABLISH, FIRST)
            conn_id = (await service("taken"))["conn_id"]
        assert re.search("closed|reset", (await service("lost", conn_id=conn_id))["reason"]), "reset: with bytes unread"
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        assert (await peer.hear(CHANNEL_REESTABLISH)).encode() == about(CHANNEL_REESTABLISH, FIRST)
        service.process.kill()
        assert said(await peer.hangs_up()) == [], "no error, no warning: the channel is to live on"
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        assert await owner(node, peer) == "gossipd"
        await peer.say(about(CHANNEL_REESTABLISH, FIRST))
        assert said(await peer.hangs_up()) == [], "no client can answer it now, and none says anything wrong"
    again = services()
    assert (await again.join(node, "channels"))["channels"] == [FIRST.hex()], "they were kept for it"
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        assert (await peer.hear(CHANNEL_REESTABLISH)).encode() == about(CHANNEL_REESTABLISH, FIRST)


async def test_a_service_that_dies_ends_only_its_own_connections(
    node: Node, peer: ScriptedPeer, services: Callable[[], JavaScriptService]
) -> None:
    service, other = services(), BusService("other", node.directory)
    async with other:
        await service.join(node, "channels")
        await service("register", take=[OPEN_CHANNEL])
        await other.join()
        await other.ask("register", take=[64])
        await peer.say(opening())
        await service("taken")
        async with await ScriptedPeer.connect(node.target) as bystander:
            await bystander.say(opening(64))
            conn_id = (await other.taken())["conn_id"]
            await other.hear_peer(conn_id)
            service.process.kill()
            with pytest.raises(PeerClosed):
                while True:
                    await peer.hear()
            await other.say(conn_id, about(65, SECOND))
            assert (await bystander.hear(65)).encode() == about(65, SECOND)
            await bystander.sync()
