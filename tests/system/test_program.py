"""A service made with wire.program is a good owner: it does for the peer and the node what gossipd did."""

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness.moves import CHAIN, GIVEN_BACK, about_channel, is_gone, moves, opening, owner, ping
from tests.harness.node import Node, Nodes
from tests.harness.small_map import CHANNELS, NODES
from tests.harness.waiting import until
from wire.message import BoltMessage
from wire.peer_wire import ErrorMessage, GossipTimestampFilter

ECHO = 0x8001
SHUTDOWN, REESTABLISH = about_channel(38), about_channel(136)
PROGRAM = Path(__file__).parent.parent / "harness" / "echo_service.py"


@pytest.fixture(scope="module")
def shared_node(shared_nodes: Nodes) -> Node:
    return shared_nodes.start(
        f"--service=echo={shlex.join([sys.executable, '-P', str(PROGRAM)])}",
        "--take=echo=open_channel,channel_reestablish,shutdown,funding_created",
    )


@pytest.fixture
async def node(shared_node: Node) -> AsyncIterator[Node]:
    yield shared_node
    await shared_node.be_alone()


@pytest.fixture
async def peer(node: Node) -> AsyncIterator[ScriptedPeer]:
    """One that the service has."""
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(opening())
        assert echoed(await peer.hear(ECHO)) == opening()
        yield peer


def echoed(message: BoltMessage) -> bytes:
    return message.encode()[2:]


async def test_it_hears_each_message_once_and_in_order(node: Node, peer: ScriptedPeer) -> None:
    """Of 300 in one write those before the shutdown; the ones behind it are gossipd's."""
    spoken = [about_channel(34) + number.to_bytes(2, "big") for number in range(300)]
    await peer.say(*spoken, SHUTDOWN)
    assert [echoed(await peer.hear(ECHO)) for _ in spoken] == spoken
    await peer.sync()
    assert (await moves(node, peer))[-2:] == GIVEN_BACK


async def test_pings_both_ways(node: Node, peer: ScriptedPeer) -> None:
    await peer.sync()
    assert await owner(node, peer) == "echo"
    assert await ping(node, peer) == 132
    assert (await node.rpc("ping", id=peer.node_id.hex(), pongbytes=65532)) == {"totlen": 0}


async def test_commands(node: Node, peer: ScriptedPeer) -> None:
    await node.rpc("sendcustommsg", node_id=peer.node_id.hex(), msg="8003ff")
    assert (await peer.hear(0x8003)).encode() == bytes.fromhex("8003ff")


async def test_gossip_both_ways(node: Node, peer: ScriptedPeer, small_map: SyntheticMap) -> None:
    """What the peer says is on the map; what another one asks for comes, through the service that has it."""
    await peer.say(*small_map.messages())

    async def listed() -> bool:
        nodes = (await node.rpc("listnodes"))["nodes"]
        updates = len((await node.rpc("listchannels"))["channels"])
        return (sum("alias" in node for node in nodes), updates) == (NODES, 2 * CHANNELS)

    await until(listed, "the gossip does not come through")
    assert await owner(node, peer) == "echo"
    async with await ScriptedPeer.connect(node.target) as other:
        await other.say(opening())
        await other.hear(ECHO)
        await other.say(GossipTimestampFilter(chain_hash=CHAIN, first_timestamp=0, timestamp_range=0xFFFFFFFF))
        heard = [(await other.hear(256)).encode() for _ in range(CHANNELS)]
        assert len(set(heard)) == CHANNELS
        assert await owner(node, other) == "echo"


async def test_error_of_the_peer_is_told(node: Node, peer: ScriptedPeer) -> None:
    await peer.say(ErrorMessage(channel_id=bytes(32), data=b"that hurts"))

    async def told() -> bool:
        return "that hurts" in (await node.peer(peer.node_id)).get("last_error", "")

    await until(told, "the master has not heard of it")
    assert await owner(node, peer) == "echo"


async def test_unknown_even_message(node: Node, peer: ScriptedPeer) -> None:
    start = len(node.lines)
    await peer.say(b"\xea\x60" + bytes(10))
    await peer.hangs_up()
    await node.logged("disconnected: .*60000", start)


async def test_peer_hangs_up(node: Node, peer: ScriptedPeer) -> None:
    start = len(node.lines)
    await peer.close()
    await node.logged("disconnected: the peer has closed the connection", start)
    assert sum("lightningd: disconnected" in line for line in node.lines[start:]) == 1
    assert await is_gone(node, peer)


async def test_disconnect(node: Node, peer: ScriptedPeer) -> None:
    assert await node.rpc("disconnect", id=peer.node_id.hex(), force=True) == {}
    await peer.hangs_up()
    assert await is_gone(node, peer)


async def test_it_fails(node: Node, peer: ScriptedPeer) -> None:
    """Its exception is in the log, and the connection ends: nobody knows what state it was in."""
    start = len(node.lines)
    await peer.say(REESTABLISH)
    await peer.hangs_up()
    await node.logged("RuntimeError: a bug", start)
    await node.logged("service echo .* exited with 1", start)
    await until(lambda: is_gone(node, peer), "it is still listed")


async def test_the_node_connects_again(node: Node) -> None:
    privkey = bytes([79]) * 32
    async with await ScriptedPeer.connect(node.target, privkey=privkey) as older:
        await older.say(opening())
        await older.hear(ECHO)
        async with await ScriptedPeer.connect(node.target, privkey=privkey) as newer:
            await newer.sync()
            await older.hangs_up()
            assert await owner(node, newer) == "gossipd"


async def test_back_and_forth(node: Node, peer: ScriptedPeer) -> None:
    """Twenty times, with something said in between by each owner."""
    for number in range(20):
        await peer.say(about_channel(34) + bytes([number]), SHUTDOWN, b"\x80\x03not for a service")
        assert echoed(await peer.hear(ECHO)) == about_channel(34) + bytes([number])
        await peer.sync()
        await peer.say(opening())
        assert echoed(await peer.hear(ECHO)) == opening()
    assert await owner(node, peer) == "echo"


async def test_takepeer_in_the_midst_of_traffic(node: Node) -> None:
    """Pings without a pause while the connection moves: each gets its pong, in order."""
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        node_id = peer.node_id.hex()

        async def move() -> None:
            for _ in range(10):
                await node.rpc("takepeer", service="echo", id=node_id)
                await until(lambda: is_owned(node, peer, "echo"), "it does not go to the service")
                await peer.say(SHUTDOWN)
                await until(lambda: is_owned(node, peer, "gossipd"), "it does not come back")

        moving = asyncio.create_task(move())
        asked = 0
        while not moving.done() or asked < 100:
            await peer.say(
                *(b"\x00\x12" + (number % 7).to_bytes(2, "big") + bytes(2) for number in range(asked, asked + 10))
            )
            for number in range(asked, asked + 10):
                assert len((await peer.hear(19)).encode()) == 4 + number % 7
            asked += 10
        await moving


async def is_owned(node: Node, peer: ScriptedPeer, by: str) -> bool:
    return await owner(node, peer) == by


async def test_it_ends_with_the_node(nodes: Nodes) -> None:
    """At once: it hears that its control socket is closed."""
    node = nodes.start(f"--service=echo={shlex.join([sys.executable, '-P', str(PROGRAM)])}", "--take=echo=open_channel")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(opening())
        await peer.hear(ECHO)
        await node.rpc("stop")
        await peer.hangs_up()
    assert node.wait() == 0
    assert "killed" not in node.log, "which it is after five seconds"
