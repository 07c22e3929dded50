"""A whole node's listings: clients that do not read, and listingd's death. The master makes none of them itself."""

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightningd_py import unix_socket
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness import processes
from tests.harness.node import NETWORK, Node, Nodes, RpcError
from tests.harness.small_map import write_small_map
from tests.harness.waiting import until

CHANNELS = 3_000
SILENT = 20
LISTING = b'{"jsonrpc": "2.0", "id": 1, "method": "listchannels", "params": []}'
MOST_GROWTH = 12 << 20
"""Bytes. One answer is 3 MB, and was several times that in the master while it was made."""


@pytest.fixture(scope="module")
def larger_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = SyntheticMap(random_edges(2, CHANNELS, 900), seed=2, now=int(time.time()))
    return write_small_map(made, tmp_path_factory.mktemp("map") / "gossip_store")


@pytest.fixture
def node(nodes: Nodes, larger_map: Path) -> Iterator[Node]:
    shutil.copy(larger_map, nodes.directory("l1") / NETWORK / "gossip_store")
    yield nodes.start(name="l1")


def memory(pid: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def silent_client(node: Node) -> socket.socket:
    """Asks, and reads only the first bytes: so its answer has begun."""
    client = unix_socket.connect(node.rpc_file)
    client.sendall(LISTING)
    assert client.recv(1, socket.MSG_PEEK)
    return client


async def test_20_clients_that_do_not_read_cost_next_to_nothing(node: Node) -> None:
    """And hold up no other."""
    whole = await node.rpc("listchannels")
    assert len(whole["channels"]) == 2 * CHANNELS
    pids = [node.pids()[name] for name in ("lightningd", "listingd")]
    before = sum(map(memory, pids))
    silent = [silent_client(node) for _ in range(SILENT)]
    assert await node.rpc("listchannels") == whole
    assert sum(map(memory, pids)) - before < MOST_GROWTH
    said = bytearray()
    while not said.endswith(b"\n\n"):
        said += silent[-1].recv(1 << 16)
    assert json.loads(said)["result"] == whole
    for client in silent:
        client.close()
    await node.has_no_more_sockets()


async def test_listingd_dies_in_the_middle(node: Node) -> None:
    """The connection that it was writing to ends, and the next listing works."""
    silent = silent_client(node)
    start = len(node.lines)
    os.kill(node.pids()["listingd"], signal.SIGKILL)
    await node.logged(r"UNUSUAL lightningd: listingd has died \(killed by SIGKILL\): it is restarted", start)
    assert len((await node.rpc("listchannels"))["channels"]) == 2 * CHANNELS
    said = bytearray()
    while data := silent.recv(1 << 16):
        said += data
    assert not said.endswith(b"\n\n")
    silent.close()
    await node.has_no_more_sockets()


async def test_what_listingd_may_open(node: Node) -> None:
    """The store comes to it as an fd: neither it nor hsm_secret is opened by itself."""
    await node.rpc("listchannels")
    assert "NoNewPrivs:\t1" in processes.status(node.pids()["listingd"])


async def test_the_api_bus_and_checkmessage_have_the_map_of_listingd(node: Node) -> None:
    signed = await node.rpc("signmessage", message="1.50")
    with pytest.raises(Exception, match="pubkey not found in the graph"):
        await node.rpc("checkmessage", message="1.50", zbase=signed["zbase"])
    checked = await asyncio.gather(
        *(node.rpc("checkmessage", message="1.50", zbase=signed["zbase"], pubkey=node.node_id) for _ in range(3))
    )
    assert [each["verified"] for each in checked] == [True] * 3


async def _listed(node: Node) -> int | None:
    """How many channels are listed; None where the node says, or shows, that they cannot be."""
    try:
        return len((await node.rpc("listchannels"))["channels"]) // 2
    except (RpcError, ConnectionError, asyncio.IncompleteReadError, json.JSONDecodeError):
        return None


@pytest.mark.long
async def test_the_store_is_cut_and_replaced_while_it_is_listed(node: Node) -> None:
    """listingd goes on under its pid, tells what is there or that it cannot, and has the map again."""
    assert await _listed(node) == CHANNELS
    pids, chance = node.pids(), random.Random(1)
    store = (node.directory / "gossip_store").resolve()
    content = store.read_bytes()
    for number in range(30):
        listing = [asyncio.create_task(_listed(node)) for _ in range(2)]
        await asyncio.sleep(0)
        if number % 3:
            os.truncate(store, chance.randrange(1, max(2, store.stat().st_size)))
        else:
            store.with_name("other").write_bytes(content)
            store.with_name("other").replace(store)
        for count in await asyncio.gather(*listing):
            assert count is None or count <= CHANNELS
    await until(lambda: _is_listed(node), "the map is not listed again")
    assert {name: node.pids()[name] for name in ("listingd", "gossipd")} == {
        name: pids[name] for name in ("listingd", "gossipd")
    }


async def _is_listed(node: Node) -> bool:
    return await _listed(node) is not None
