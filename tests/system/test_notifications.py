"""What a client of a whole node hears unasked, and what the node remembers: two nodes, real daemons."""

import asyncio
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, Self

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import LONGEST_ANSWER, NETWORK, Node, Nodes, RpcError
from tests.harness.small_map import CHANNELS, NODES


class Client:
    """One connection: answers and notifications as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.heard: list[dict[str, Any]] = []

    @classmethod
    async def to(cls, node: Node, *topics: str, level: str = "info") -> Self:
        client = cls(*await asyncio.open_unix_connection(node.rpc_file, limit=LONGEST_ANSWER))
        assert await client.call("notifications", enable=True, topics=list(topics), level=level) == {}
        return client

    async def call(self, method: str, **params: Any) -> Any:
        """The result; notifications before it are `heard`."""
        self._writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())
        while "id" not in (message := await self._next()):
            self.heard.append(message)
        return message["result"]

    async def _next(self) -> Any:
        return json.loads(await self._reader.readuntil(b"\n\n"))

    async def until(self, method: str) -> dict[str, Any]:
        """The params of the next notification of this name, `heard` ones first."""
        while all(message["method"] != method for message in self.heard):
            self.heard.append(await self._next())
        found = next(message for message in self.heard if message["method"] == method)
        self.heard.remove(found)
        return dict(found["params"])

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def test_connections_and_custom_messages(nodes: Nodes) -> None:
    node = nodes.start()
    client = await Client.to(node, "connect", "disconnect", "custommsg")
    async with await ScriptedPeer.connect(node.target) as peer:
        came = await client.until("connect")
        assert (came["id"], came["direction"], came["address"]["type"]) == (peer.node_id.hex(), "in", "ipv4")
        await peer.say(bytes.fromhex("9c41ab"))
        assert await client.until("custommsg") == {"peer_id": peer.node_id.hex(), "payload": "9c41ab"}
        await client.call("notifications", enable=True, topics=["disconnect"])
        await peer.say(bytes.fromhex("9c41cd"))
        await peer.sync()
    assert (await client.until("disconnect"))["id"] == peer.node_id.hex()
    assert client.heard == []
    kinds = [event["type"] for event in (await node.rpc("listnetworkevents", id=peer.node_id.hex()))["networkevents"]]
    assert kinds == ["connect", "disconnect"]
    assert (await node.rpc("wait", subsystem="peers", indexname="deleted", nextvalue=1))["deleted"] == 1
    await client.close()


@pytest.mark.long
async def test_what_is_new_on_the_map(nodes: Nodes, small_map_store: Path) -> None:
    """Also of another gossipd than the one that was there when it was asked for."""
    shutil.copy(small_map_store, nodes.directory("l1") / NETWORK / "gossip_store")
    l1, l2 = nodes.start(name="l1"), nodes.start(name="l2")
    client = await Client.to(l2, "map.")
    assert (await l2.rpc("restart", what="gossipd"))["restarted"] == "gossipd"
    await l2.rpc("connect", id=l1.target)
    heard: Counter[str] = Counter()
    scids = set()
    while heard.total() < 3 * CHANNELS + NODES:
        message = await client._next()
        heard[message["method"]] += 1
        if message["method"] == "map.channel_announcement":
            scids.add(message["params"]["short_channel_id"])
            assert bytes.fromhex(message["params"]["raw"])[:2] == b"\x01\x00"
    assert heard == {
        "map.channel_announcement": CHANNELS,
        "map.channel_update": 2 * CHANNELS,
        "map.node_announcement": NODES,
    }
    assert scids == {channel["short_channel_id"] for channel in (await l2.rpc("listchannels"))["channels"]}
    await client.close()


async def test_the_log_of_all_processes(nodes: Nodes) -> None:
    """By notification as it comes, and by getlog later; what a daemon says as it dies, too."""
    node = nodes.start()
    client = await Client.to(node, "log", level="debug")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
    sources: set[str] = set()
    while not {"connectd", "gossipd"} <= sources:
        sources.add((await client.until("log"))["source"])
    log = await node.rpc("getlog", level="debug")
    assert {"lightningd", "connectd", "gossipd"} <= {entry.get("source") for entry in log["log"]}
    assert any(entry.get("node_id") == peer.node_id.hex() for entry in log["log"])
    assert 0 < log["bytes_used"] <= log["bytes_max"]
    assert {entry["type"] for entry in (await node.rpc("getlog"))["log"]} <= {"SKIPPED", "INFO", "UNUSUAL"}
    await client.close()


@pytest.mark.long
async def test_steps_of_a_restart_and_notifications_after_it(nodes: Nodes) -> None:
    """The client that has asked hears how it goes, over the restart of the master itself."""
    node = nodes.start()
    client = await Client.to(node, "progress", "connect")
    async with await ScriptedPeer.connect(node.target) as peer:
        await client.until("connect")
        done = await client.call("restart", what="all")
        names = [process["restarted"] for process in done["processes"]]
        said = [message["params"]["message"] for message in client.heard if message["method"] == "message"]
        assert said == [f"restarting {name}" for name in names]
        bars = [message["params"] for message in client.heard if message["method"] == "progress"]
        assert [(bar["num"], bar["total"]) for bar in bars] == [(number, len(names)) for number in range(len(names))]
        client.heard.clear()
        assert [each["type"] for each in (await client.call("listnetworkevents"))["networkevents"]] == ["connect"]
        async with await ScriptedPeer.connect(node.target) as another:
            assert (await client.until("connect"))["id"] == another.node_id.hex()
        await peer.sync()
    await client.close()


async def test_graceful(nodes: Nodes) -> None:
    """Peers go, and none comes or is dialled any more."""
    l1, l2 = nodes.start(name="l1"), nodes.start(name="l2")
    await l1.rpc("connect", id=l2.target)
    assert await l1.rpc("graceful") == {}
    assert (await l1.rpc("listpeers"))["peers"] == []
    with pytest.raises(RpcError, match="the node is about to stop"):
        await l1.rpc("connect", id=l2.target)
    await l2.logged(f"{l1.node_id}-lightningd: disconnected")
    with pytest.raises(RpcError):
        await l2.rpc("connect", id=l1.target)


async def test_a_connection_that_cannot_be_made(nodes: Nodes) -> None:
    node = nodes.start()
    stranger = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    waiting = asyncio.create_task(node.rpc("wait", subsystem="networkevents", indexname="created", nextvalue=1))
    for target in (f"{stranger}@127.0.0.1:1", stranger):
        with pytest.raises(RpcError):
            await node.rpc("connect", id=target)
    assert (await waiting)["networkevents"] == {"type": "connect_fail", "peer_id": stranger, "created_index": 1}
    events = (await node.rpc("listnetworkevents"))["networkevents"]
    assert [(event["type"], event["connect_attempted"]) for event in events] == [
        ("connect_fail", True),
        ("connect_fail", False),
    ]
    with pytest.raises(RpcError, match="2000: Timed out"):
        await node.rpc("wait", subsystem="networkevents", indexname="created", nextvalue=3, timeout=0)
