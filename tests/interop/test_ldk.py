"""LDK (lightningdevkit from npm, in a node process of its own) as our peer: who dials, who serves, what is counted.

LDK asks for everything by one gossip_timestamp_filter, pings after each 32 messages that it serves, and answers no
query_short_channel_ids. Its relay drops under bursts, so nothing here depends on it.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.waiting import until
from tests.interop.conftest import WHILE_IT_CHECKS, pins
from tests.interop.ldks import PACKAGE, Ldk

CHANNELS, NODES = 400, 120
"""More messages than one key of BOLT 8 encrypts, and than wait for their signatures at a time."""
LACKED = CHANNELS * 2 // 5
CROSSINGS = 17
WHOLE_MAP = {"channels": CHANNELS, "nodes": NODES, "updates": 2 * CHANNELS, "announced_nodes": NODES}


StartLdk = Callable[[], Awaitable[Ldk]]
StartNode = Callable[..., Node]


@pytest.fixture(scope="session")
def modules(node_modules: Callable[[Sequence[str]], Path]) -> Path:
    """node_modules with what package.json pins."""
    return node_modules(pins(PACKAGE))


@pytest.fixture(scope="session")
def small_map() -> SyntheticMap:
    """What there is to be known: a signed map of WHOLE_MAP's size."""
    return SyntheticMap(random_edges(1, CHANNELS, NODES), seed=1, now=int(time.time()))


@pytest.fixture(scope="session")
def messages(small_map: SyntheticMap) -> list[str]:
    """The map as raw messages in hex, each after those that it needs."""
    return [message.hex() for message in small_map.messages()]


@pytest.fixture
async def start_ldk(modules: Path, tmp_path: Path) -> AsyncIterator[StartLdk]:
    async with contextlib.AsyncExitStack() as running:

        async def start() -> Ldk:
            ldk = await Ldk.start(modules, tmp_path / "ldk.log")
            running.push_async_callback(ldk.stop)
            return ldk

        yield start


@pytest.fixture
async def ldk(start_ldk: StartLdk) -> Ldk:
    return await start_ldk()


@pytest.fixture
def start_node(nodes: Nodes) -> StartNode:
    def start(known: SyntheticMap) -> Node:
        write_store(known, nodes.directory() / "regtest" / "gossip_store")
        return nodes.start()

    return start


@pytest.fixture
def node(nodes: Nodes) -> Node:
    """One that knows no node."""
    return nodes.start()


def write_store(known: SyntheticMap, path: Path) -> None:
    store = GossipStore.open(path)
    known.write_store(store)
    store.close()


async def scids_of(node: Node) -> set[str]:
    return {channel["short_channel_id"] for channel in (await node.rpc("listchannels"))["channels"]}


async def lists_the_map(node: Node) -> bool:
    channels = (await node.rpc("listchannels"))["channels"]
    nodes = (await node.rpc("listnodes"))["nodes"]
    return (len(channels), sum("alias" in node for node in nodes)) == (2 * CHANNELS, NODES)


@pytest.mark.long
async def test_two_ldks_sync(start_ldk: StartLdk, messages: list[str]) -> None:
    """No node of ours: shows that the program under ldk/ does its part, and that LDK takes the synthetic map."""
    server, client = await start_ldk(), await start_ldk()
    await server.load(messages)
    node_id, port = await server.listen()
    await client.connect(node_id, port)
    await client("wait", **WHOLE_MAP)


@pytest.mark.bolt("B1-20", "B1-25", "B8-42", "B8-49")
async def test_ldk_dials_us(ldk: Ldk, node: Node) -> None:
    await ldk.connect(node.node_id, node.port)
    status = await ldk("wait", peers=1)
    assert status["peers"] == [node.node_id]
    await until(functools.partial(answers, node, status["node_id"]), "LDK does not answer our ping")
    assert (await node.rpc("ping", id=status["node_id"], len=100, pongbytes=200))["totlen"] == 204
    assert (await node.peer(status["node_id"]))["connected"] is True


@pytest.mark.bolt("B1-20", "B1-25", "B8-42", "B8-49")
async def test_we_dial_ldk(ldk: Ldk, node: Node) -> None:
    ldk_id, port = await ldk.listen()
    answer = await node.rpc("connect", id=ldk_id, host="127.0.0.1", port=port)
    assert answer["id"] == ldk_id
    assert answer["direction"] == "out"
    assert (await node.rpc("ping", id=ldk_id, len=100, pongbytes=200))["totlen"] == 204
    assert (await ldk("wait", peers=1))["peers"] == [node.node_id]


@pytest.mark.bolt("B1-1")
async def test_dials_that_cross(ldk: Ldk, node: Node) -> None:
    """Each dials the other at the same moment: `connect` is answered, and one connection is left, the same for both."""
    ldk_id, port = await ldk.listen()
    for _ in range(CROSSINGS):
        await asyncio.gather(
            node.rpc("connect", id=ldk_id, host="127.0.0.1", port=port), ldk.connect(node.node_id, node.port)
        )
        await until(functools.partial(answers, node, ldk_id), "no connection is left")
        assert (await ldk("wait", peers=1))["peers"] == [node.node_id]
        assert len((await node.rpc("listpeers", id=ldk_id))["peers"]) == 1
        await ldk("disconnect", node_id=node.node_id)
        await node.be_alone()
        await ldk("wait", peers=0)


async def answers(node: Node, node_id: str) -> bool:
    """Whether the peer answers a ping. LDK may have the connection before our master has heard of it."""
    try:
        return bool((await node.rpc("ping", id=node_id))["totlen"] > 0)
    except RpcError:
        return False


async def test_ldk_hangs_up_and_dials_again(ldk: Ldk, node: Node) -> None:
    for _ in range(3):
        await ldk.connect(node.node_id, node.port)
        ldk_id = (await ldk("wait", peers=1))["node_id"]
        await until(functools.partial(answers, node, ldk_id), "LDK does not answer our ping")
        await ldk("disconnect", node_id=node.node_id)
        await ldk("wait", peers=0)


@pytest.mark.bolt("B7-96", "B7-98")
async def test_ldk_counts_the_map_that_we_serve(ldk: Ldk, start_node: StartNode, small_map: SyntheticMap) -> None:
    node = start_node(small_map)
    await ldk.connect(node.node_id, node.port)
    await ldk("wait", peers=1, **WHOLE_MAP)
    assert await ldk.scids() == await scids_of(node)


@pytest.mark.long
@pytest.mark.bolt("B1-37", "B7-57", "B7-68", "B7-86")
async def test_we_list_the_map_that_ldk_serves(ldk: Ldk, node: Node, messages: list[str]) -> None:
    """LDK goes on only after each of our pongs, so that they come is proved too."""
    await ldk.load(messages)
    ldk_id, port = await ldk.listen()
    await node.rpc("connect", id=ldk_id, host="127.0.0.1", port=port)
    await until(lambda: lists_the_map(node), "LDK serves a map that we do not list whole", WHILE_IT_CHECKS)
    assert await scids_of(node) == await ldk.scids()
    assert (await node.peer(ldk_id))["connected"] is True


@pytest.mark.long
async def test_each_gives_the_other_what_it_lacks(
    ldk: Ldk, start_node: StartNode, small_map: SyntheticMap, messages: list[str]
) -> None:
    """We begin with the first three fifths and LDK with the last three; one connection completes both."""
    ours = SyntheticMap(small_map.edges[:-LACKED], small_map.seed, small_map.now)
    channels = messages[: 3 * CHANNELS]
    node = start_node(ours)
    await ldk("add_gossip", messages=channels[3 * LACKED :] + messages[3 * CHANNELS :])
    ldk_id, port = await ldk.listen()
    await node.rpc("connect", id=ldk_id, host="127.0.0.1", port=port)
    await ldk("wait", **WHOLE_MAP)
    await until(lambda: lists_the_map(node), "what we lacked did not come from LDK", WHILE_IT_CHECKS)


@pytest.mark.long
@pytest.mark.parametrize("what", ["gossipd", "connectd", "master", "all"])
async def test_neither_of_two_ldks_notices_a_restart(
    start_ldk: StartLdk, node: Node, messages: list[str], what: str
) -> None:
    """One serves us its map, the other is sent it as it comes: both maps are whole, on the connections of before."""
    server, client = await start_ldk(), await start_ldk()
    await server.load(messages)
    await client.connect(node.node_id, node.port)
    client_id = (await client("wait", peers=1))["node_id"]
    await until(functools.partial(answers, node, client_id), "LDK does not answer our ping")
    server_id, port = await server.listen()
    await node.rpc("connect", id=server_id, host="127.0.0.1", port=port)
    before = {id_: peer["conn_id"] for id_, peer in (await node.peers()).items()}
    assert before.keys() == {client_id, server_id}

    async def begun() -> bool:
        return len(await scids_of(node)) > 0

    await until(begun, "nothing comes from LDK", WHILE_IT_CHECKS)
    assert (await node.rpc("restart", what=what))["lost"] == 0
    await until(lambda: lists_the_map(node), "LDK serves a map that we do not list whole", WHILE_IT_CHECKS)
    assert {id_: peer["conn_id"] for id_, peer in (await node.peers()).items()} == before
    for ldk in (server, client):
        assert (await ldk("wait", peers=1))["peers"] == [node.node_id]
    await client("wait", **WHOLE_MAP)
    assert await answers(node, client_id) and await answers(node, server_id)
