"""pyln-client against our JSON-RPC socket and our gossip_store, as its users have them with CLN."""

import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.node import Node, Nodes
from tests.interop.conftest import Program

CHANNELS, NODES = 50, 20
UNKNOWN_COMMAND, INVALID_PARAMS, WAIT_TIMEOUT = -32601, -32602, 2000
CONNECT_NO_KNOWN_ADDRESS, CONNECT_ALL_ADDRESSES_FAILED = 400, 401
STRANGER = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
"""A point of the curve, and no node's id."""


class Client:
    """The program pyln/client.py, speaking to one of our nodes."""

    def __init__(self, program: Program) -> None:
        self.ask = program.answer

    async def __call__(self, method: str, *args: object, **named: object) -> Any:
        """What LightningRpc's own method of this name returns."""
        answer = await self.ask("call", method=method, args=args, named=named)
        assert "code" not in answer, answer
        return answer["result"]

    async def code(self, method: str, *args: object, **named: object) -> int:
        """The code of the RpcError that it raises; its message is a sentence."""
        answer = await self.ask("call", method=method, args=args, named=named)
        assert answer["message"]
        return int(answer["code"])


@pytest.fixture
def l1(nodes: Nodes) -> Node:
    return nodes.start()


@pytest.fixture
def l2(nodes: Nodes) -> Node:
    return nodes.start()


@pytest.fixture
def client(l1: Node, pyln: Callable[..., Any]) -> Client:
    return Client(pyln("client.py", l1.rpc_file))


@pytest.fixture(scope="module")
def synthetic_map() -> list[str]:
    """Raw messages in hex."""
    edges = random_edges(1, CHANNELS, NODES)
    return [message.hex() for message in SyntheticMap(edges, seed=1, now=int(time.time())).messages()]


async def test_getinfo(client: Client, l1: Node) -> None:
    info = await client("getinfo")
    assert info["id"] == l1.node_id
    assert info["network"] == "regtest"
    assert info["binding"] == [{"type": "ipv4", "address": "127.0.0.1", "port": l1.port}]
    assert info["num_peers"] == 0


async def test_connect_listpeers_ping_disconnect(client: Client, l2: Node) -> None:
    address = {"type": "ipv4", "address": "127.0.0.1", "port": l2.port}
    answer = await client("connect", l2.node_id, "127.0.0.1", l2.port)
    assert (answer["id"], answer["direction"], answer["address"]) == (l2.node_id, "out", address)
    (peer,) = (await client("listpeers"))["peers"]
    assert (peer["id"], peer["connected"], peer["features"]) == (l2.node_id, True, answer["features"])
    assert peer["netaddr"] == [f"127.0.0.1:{l2.port}"]
    assert (await client("listpeers", STRANGER))["peers"] == []
    assert (await client("ping", l2.node_id))["totlen"] == 128 + 4
    assert "status" in await client("sendcustommsg", l2.node_id, "8001ff")
    assert await client("disconnect", l2.node_id) == {}
    assert (await client("getinfo"))["num_peers"] == 0


async def test_connect_takes_one_string_too(client: Client, l2: Node) -> None:
    assert (await client("connect", f"{l2.node_id}@127.0.0.1:{l2.port}"))["id"] == l2.node_id


async def test_error_codes(client: Client, unused_port: int) -> None:
    assert await client.code("connect", STRANGER) == CONNECT_NO_KNOWN_ADDRESS
    assert await client.code("connect", STRANGER, "127.0.0.1", unused_port) == CONNECT_ALL_ADDRESSES_FAILED
    assert await client.code("connect", "02" + "ff" * 32) == INVALID_PARAMS
    assert await client.code("listpeers", "nobody") == INVALID_PARAMS
    assert await client.code("listchannels", "1x2") == INVALID_PARAMS
    assert await client.code("disconnect", STRANGER) == -1
    assert await client.code("nosuchcommand") == UNKNOWN_COMMAND


@pytest.fixture
async def unused_port() -> AsyncIterator[int]:
    """A port on which a socket is bound and no process listens: connections are refused."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


async def test_lists_and_gossmap_agree(client: Client, l1: Node, synthetic_map: list[str]) -> None:
    for message in synthetic_map:
        assert await client("addgossip", message) == {}
    channels = (await client("listchannels"))["channels"]
    scids = {channel["short_channel_id"] for channel in channels}
    assert (len(channels), len(scids)) == (2 * CHANNELS, CHANNELS)
    announced = (await client("listnodes"))["nodes"]
    assert len(announced) == NODES
    assert all("alias" in node for node in announced)

    one = channels[0]
    assert len((await client("listchannels", one["short_channel_id"]))["channels"]) == 2
    by_source = (await client("listchannels", None, one["source"]))["channels"]
    assert {channel["source"] for channel in by_source} == {one["source"]}
    assert [node["nodeid"] for node in (await client("listnodes", one["source"]))["nodes"]] == [one["source"]]

    gossmap = await client.ask("gossmap", path=str(l1.directory / "gossip_store"))
    assert gossmap["channels"] == sorted(scids)
    assert gossmap["updates"] == 2 * CHANNELS
    assert gossmap["nodes"] == sorted(node["nodeid"] for node in announced)


async def test_each_method_that_it_has_and_we_have(
    client: Client, l1: Node, l2: Node, synthetic_map: list[str]
) -> None:
    """None is left out; what the others come to stands above and below."""
    signed = await client("signmessage", "a word")
    calls: dict[str, tuple[object, ...]] = {
        "addgossip": (synthetic_map[0],),
        "check": ("ping",),
        "checkmessage": ("a word", signed["zbase"], l1.node_id),
        "connect": (l2.node_id, "127.0.0.1", l2.port),
        "getinfo": (),
        "getlog": ("unusual",),
        "help": ("ping",),
        "listchannels": (),
        "listconfigs": ("alias",),
        "listnodes": (),
        "listpeers": (),
        "ping": (l2.node_id,),
        "sendcustommsg": (l2.node_id, "8001ff"),
        "signmessage": ("a word",),
        "waitblockheight": (0,),
        "disconnect": (l2.node_id,),
        "stop": (),
    }
    theirs = set((await client.ask("methods"))["methods"])
    ours = {entry["command"].split()[0] for entry in (await l1.rpc("help"))["help"]}
    assert theirs & ours == calls.keys()
    for method, args in calls.items():
        named = {"id": l2.node_id} if method == "check" else {}
        assert isinstance(await client(method, *args, **named), dict | str), method


async def test_methods_that_it_calls_by_name(client: Client, l1: Node) -> None:
    """Those that are newer than pyln-client's own methods, and what `notify` hears."""
    log = await client("getlog", "info")
    assert {"created_at", "bytes_used", "bytes_max", "log"} == log.keys()
    assert log["log"][0]["source"] == "lightningd"
    changed = await client("setconfig", {"config": "alias", "val": "pyln", "transient": True})
    assert changed["config"]["value_str"] == "pyln"
    assert await client.code("setconfig", {"config": "network", "val": "bitcoin"}) == INVALID_PARAMS
    assert await client("wait", {"subsystem": "networkevents", "indexname": "created", "nextvalue": 0}) == {
        "subsystem": "networkevents",
        "created": 0,
    }
    assert (
        await client.code("wait", {"subsystem": "invoices", "indexname": "created", "nextvalue": 0}) == INVALID_PARAMS
    )
    assert await client("listnetworkevents") == {"networkevents": []}
    heard = await client.ask("notified", method="restart", args=["gossipd"])
    assert heard["result"]["restarted"] == "gossipd"
    assert heard["told"] == [["restarting gossipd", {"num": 0, "total": 1}]]
    assert await client("graceful") == {}


async def test_small_methods(client: Client, l1: Node) -> None:
    assert await client("check", "ping", id=l1.node_id) == {"command_to_check": "ping"}
    assert await client.code("check", "ping") == INVALID_PARAMS
    assert (await client("decode", {"string": l1.node_id}))["type"] == "node_id"
    assert await client("batching", {"enable": True}) == {}
    assert await client("waitblockheight", 0) == {"blockheight": 0}
    assert await client.code("waitblockheight", 1, 0) == WAIT_TIMEOUT
    assert await client("listaddresses") == {"addresses": []}
    configs = (await client("listconfigs"))["configs"]
    assert configs["network"] == {"value_str": "regtest", "source": "cmdline"}
    assert (await client("listconfigs", "network"))["configs"] == {"network": configs["network"]}
    assert await client.code("listconfigs", "nosuch") == INVALID_PARAMS
    of_text, of_hex = [await client("makesecret", {kind: said}) for kind, said in (("string", "ab"), ("hex", "6162"))]
    assert of_text == of_hex
    assert len(bytes.fromhex(of_text["secret"])) == 32
    assert await client.code("makesecret") == INVALID_PARAMS
    assert (await client("help", "ping"))["help"][0]["parameters"][0]["name"] == "id"
