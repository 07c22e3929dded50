"""node-lightning (@node-lightning/wire and noise from npm, in a node process) as our peer: a stack in JavaScript that
shares no code with LDK, pyln or us. It reads what we serve with its own classes and checks each signature itself.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gossipd.store.writer import GossipStore
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until
from tests.interop.conftest import WHILE_IT_CHECKS, pins
from tests.interop.node_lightnings import GOSSIP_QUERIES, GOSSIP_QUERIES_EX, PACKAGE, NodeLightning

REGTEST = "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"
CHANNELS, NODES = 200, 60
WHOLE_MAP = {"channels": CHANNELS, "updates": 2 * CHANNELS, "nodes": NODES}
EVERYTHING = {"first": 0, "range": 0xFFFFFFFF}


@pytest.fixture(scope="session")
def modules(node_modules: Callable[[Sequence[str]], Path]) -> Path:
    """node_modules with what package.json pins."""
    return node_modules(pins(PACKAGE))


@pytest.fixture
def theirs(modules: Path) -> Iterator[NodeLightning]:
    theirs = NodeLightning(modules)
    yield theirs
    theirs.end()


@pytest.fixture(scope="session")
def small_map() -> SyntheticMap:
    return SyntheticMap(random_edges(1, CHANNELS, NODES), seed=1, now=int(time.time()))


@pytest.fixture
def node(nodes: Nodes) -> Node:
    """One that knows no node."""
    return nodes.start()


@pytest.fixture
def server(nodes: Nodes, small_map: SyntheticMap) -> Node:
    """A node that knows the small map."""
    store = GossipStore.open(nodes.directory() / "regtest" / "gossip_store")
    small_map.write_store(store)
    store.close()
    return nodes.start()


async def listed(node: Node) -> tuple[int, int]:
    """Channel directions and announced nodes that it lists."""
    channels = (await node.rpc("listchannels"))["channels"]
    nodes = (await node.rpc("listnodes"))["nodes"]
    return len(channels), sum("alias" in node for node in nodes)


@pytest.mark.bolt("B1-20", "B1-25", "B8-42", "B8-49")
async def test_it_dials_us(theirs: NodeLightning, node: Node) -> None:
    init = await theirs.dial(node)
    assert init["chains"] == [REGTEST]
    assert {GOSSIP_QUERIES, GOSSIP_QUERIES_EX} <= set(init["features"])
    assert await theirs("ping", pong_bytes=1, ignored=0) == {"ignored": 1}  # it has our INIT, and now we have its own
    assert (await node.peer(init["node_id"]))["connected"] is True
    await theirs("disconnect")


@pytest.mark.bolt("B1-20", "B1-25", "B8-42", "B8-49")
async def test_we_dial_it(theirs: NodeLightning, node: Node) -> None:
    node_id, port = await theirs.listen()
    answer = await node.rpc("connect", id=node_id, host="127.0.0.1", port=port)
    assert answer["direction"] == "out"
    assert (await theirs("accepted"))["chains"] == [REGTEST]


@pytest.mark.bolt("B1-37")
async def test_pings_both_ways(theirs: NodeLightning, node: Node) -> None:
    """The largest are as long as a message can be: 65,535 bytes."""
    init = await theirs.dial(node)
    for size in (0, 1, 1000, 65531):
        assert await theirs("ping", pong_bytes=size, ignored=0) == {"ignored": size}
    assert await theirs("ping", pong_bytes=7, ignored=65529) == {"ignored": 7}
    assert (await node.rpc("ping", id=init["node_id"], len=100, pongbytes=200))["totlen"] == 204
    assert (await node.rpc("ping", id=init["node_id"], len=60000, pongbytes=65531))["totlen"] == 65535


@pytest.mark.bolt("B7-96", "B7-98")
async def test_it_counts_the_map_that_we_serve(theirs: NodeLightning, server: Node) -> None:
    """Its signatures are good by its own check, and no update comes before its channel."""
    await theirs.dial(server)
    await theirs("filter", **EVERYTHING)
    assert await theirs("wait", **WHOLE_MAP) == {**WHOLE_MAP, "wrong": []}


@pytest.mark.bolt("B7-91", "B7-92")
async def test_it_asks_for_the_range_and_then_for_each_channel(theirs: NodeLightning, server: Node) -> None:
    await theirs.dial(server)
    known = await theirs("query_range")
    assert sorted(known["scids"]) == sorted({c["short_channel_id"] for c in await channels_of(server)})
    assert await theirs("query_scids", scids=known["scids"], zlib=False) == {"complete": True}
    assert await theirs("wait", **WHOLE_MAP) == {**WHOLE_MAP, "wrong": []}
    assert dict(zip(known["scids"], known["checksums"], strict=True)) == await theirs("checksums")
    assert len(known["timestamps"]) == CHANNELS


async def channels_of(node: Node) -> list[dict[str, Any]]:
    return list((await node.rpc("listchannels"))["channels"])


@pytest.mark.bolt("B7-90")
async def test_a_compressed_query_earns_a_warning_and_no_more(theirs: NodeLightning, server: Node) -> None:
    """node-lightning compresses with zlib by default, which BOLT 7 has withdrawn."""
    await theirs.dial(server)
    scids = (await theirs("query_range"))["scids"]
    answer = await theirs("query_scids", scids=scids[:10], zlib=True)
    assert "query_short_channel_ids" in answer["warning"]
    assert await theirs("end") == {"complete": False}
    assert await theirs("query_scids", scids=scids[:1], zlib=False) == {"complete": True}


@pytest.mark.bolt("B7-57", "B7-68")
async def test_we_list_the_map_that_it_serves(theirs: NodeLightning, node: Node, small_map: SyntheticMap) -> None:
    """More than 500 messages: its sending key and our receiving key rotate, and what comes after is read."""
    await theirs.dial(node)
    await theirs("send", messages=[message.hex() for message in small_map.messages()])

    async def lists_the_map() -> bool:
        return await listed(node) == (2 * CHANNELS, NODES)

    await until(lists_the_map, "node-lightning serves a map that we do not list whole", WHILE_IT_CHECKS)
    assert await theirs("ping", pong_bytes=5, ignored=5) == {"ignored": 5}
