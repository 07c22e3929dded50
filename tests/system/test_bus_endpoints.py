"""Where a node's buses are: sockets of its own, tcp with CURVE for those that were admitted, or nowhere."""

import asyncio
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq
import zmq.asyncio
import zmq.auth

from tests.gossipd.messages import announcement
from tests.harness.bus_client import Bus, BusRefused, BusService
from tests.harness.node import NodeEnded, Nodes
from tests.harness.ports import free_port

PATIENCE = 60.0


@pytest.fixture
def ports() -> list[int]:
    """Two at which no process listens."""
    return [free_port(), free_port()]


class Clients:
    """REQ sockets to an API."""

    def __init__(self, context: zmq.asyncio.Context) -> None:
        self._context = context
        self.made: list[Any] = []

    def connect(self, endpoint: str, keys: "tuple[bytes, bytes] | None" = None, server: bytes = b"") -> Any:
        client = self._context.socket(zmq.REQ)
        self.made.append(client)
        client.linger = 0
        if keys is not None:
            client.curve_publickey, client.curve_secretkey, client.curve_serverkey = *keys, server
        client.connect(endpoint)
        return client


@pytest.fixture
def clients() -> Iterator[Clients]:
    with zmq.asyncio.Context() as context:
        clients = Clients(context)
        yield clients
        for client in clients.made:
            client.close()


async def getinfo(client: Any) -> dict[str, Any]:
    await client.send(msgpack.packb({"v": 1, "id": 1, "method": "getinfo"}))
    async with asyncio.timeout(PATIENCE):
        answer: dict[str, Any] = msgpack.unpackb(await client.recv())["result"]
        return answer


async def test_they_are_the_owners_alone_and_say_what_json_rpc_says(nodes: Nodes, clients: Clients) -> None:
    node = nodes.start()
    sockets = {name: node.directory / name for name in ("ctl", "chnl", "api")}
    assert {stat.S_IMODE(path.stat().st_mode) for path in sockets.values()} == {0o600}
    assert await getinfo(clients.connect(f"ipc://{sockets['api']}")) == await node.rpc("getinfo")
    assert not (node.directory / "curve").exists()


async def test_the_node_ends_by_the_bus(nodes: Nodes, clients: Clients) -> None:
    node = nodes.start()
    client = clients.connect(f"ipc://{node.directory}/api")
    await client.send(msgpack.packb({"v": 1, "id": 1, "method": "stop"}))
    async with asyncio.timeout(PATIENCE):
        assert msgpack.unpackb(await client.recv())["result"] == {"result": "Shutdown complete"}
    assert node.wait() == 0


async def test_on_tcp_only_who_was_let_in(nodes: Nodes, clients: Clients, ports: list[int], tmp_path: Path) -> None:
    endpoint = f"tcp://127.0.0.1:{ports[0]}"
    node = nodes.start(f"--api={endpoint}")
    curve = node.directory / "curve"
    server, _ = zmq.auth.load_certificate(curve / "server.key")
    _, secret = zmq.auth.create_certificates(tmp_path, "alice")
    alice, alices_secret = zmq.auth.load_certificate(secret)
    assert alices_secret is not None
    strangers = [clients.connect(endpoint), clients.connect(endpoint, zmq.curve_keypair(), server)]
    for stranger in strangers:
        await stranger.send(msgpack.packb({"v": 1, "id": 1, "method": "stop"}))
    await node.logged("a client of a bus is refused: it has no key|a client of a bus is refused: .* unknown key")
    (tmp_path / "alice.key").rename(curve / "clients" / "alice.key")
    assert (await getinfo(clients.connect(endpoint, (alice, alices_secret), server)))["id"] == node.node_id
    assert [await stranger.poll(0) for stranger in strangers] == [0, 0]
    assert stat.S_IMODE((curve / "server.key_secret").stat().st_mode) == 0o600


async def test_a_service_on_tcp(nodes: Nodes, ports: list[int], tmp_path: Path) -> None:
    """Master and connectiond have the same keys, and let the same clients in."""
    ctl, msg = (f"tcp://127.0.0.1:{port}" for port in ports)
    node = nodes.start(f"--ctl={ctl}", f"--msg={msg}")
    curve = node.directory / "curve"
    _, secret = zmq.auth.create_certificates(curve / "clients", "alice")
    with zmq.asyncio.Context() as context:
        context.curve_publickey, context.curve_secretkey = zmq.auth.load_certificate(secret)
        context.curve_serverkey, _ = zmq.auth.load_certificate(curve / "server.key")
        on_ctl = Bus(context, ctl, b"lightningd")
        await on_ctl.say("hello", service="alice")
        welcome = await on_ctl.hear()
        on_msg = Bus(context, welcome["msg"], b"connectiond")
        await on_msg.say("hello", service="alice", ticket=welcome["ticket"])
        assert (welcome["msg"], (await on_msg.hear())["type"]) == (msg, "welcome")
        on_msg.socket.close()
        on_ctl.socket.close()


async def test_none_at_all(nodes: Nodes) -> None:
    node = nodes.start("--msg=none", "--ctl=none", "-C", "none", "-Rnone")
    assert [path.name for path in node.directory.iterdir() if path.name in ("msg", "ctl", "chnl", "api")] == []


async def test_a_path_that_is_too_long_is_one_sentence_and_the_node_goes_on(nodes: Nodes) -> None:
    node = nodes.start(name="x" * 100)
    sentences = [line for line in node.lines if "UNUSUAL" in line and "there is no bus" in line]
    assert len(sentences) == 3
    assert all("bytes, 107 may be" in line for line in sentences)
    assert node.node_id in (await node.cli("getinfo")).stdout


async def test_one_that_was_asked_for_and_cannot_be_ends_the_start(nodes: Nodes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = nodes.begin(f"--api=tcp://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(NodeEnded, match=r"lightningd-py: --api: cannot bind tcp://.*Address already in use"):
            node.ready()
    assert node.wait() == 1
    nodes.expect_end(node)


async def test_a_bus_service_that_may_has_announcements_signed(nodes: Nodes) -> None:
    node = nodes.start("--may-sign=signer")
    async with BusService("signer", node.directory) as signer, BusService("other", node.directory) as other:
        await signer.hello()
        await other.hello()
        with pytest.raises(BusRefused, match="the channel_announcement is of other nodes"):
            await signer.ask("sign_channel_announcement", message=announcement(0))
        with pytest.raises(BusRefused, match="there is no --may-sign=other"):
            await other.ask("sign_channel_announcement", message=announcement(0))
