"""The JSON-RPC methods by themselves: what they ask of the daemons, and what becomes of the answers."""

import asyncio
from dataclasses import replace

import pytest

from lightningd_py.owners.claims import GOSSIPD
from lightningd_py.rpc.params import RpcError
from tests.lightningd_py.rpc_methods import NODE, Rpc
from wire.control.control_wire import (
    AddGossip,
    AddGossipReplyfail,
    CompactStoreReply,
    CompactStoreReplyfail,
    GossipStatus,
    GossipStatusReply,
    ListPeers,
    ListPeersReply,
    PeerDisconnected,
    PeerGossip,
    PeerStats,
    PeerTaken,
    Ping,
    PingReplyfail,
    Pong,
    ReachPeer,
    ReachPeerReply,
    ReachPeerReplyfail,
    SendMessage,
    SendMessageReply,
)
from wire.crypto_state import Traffic

INTERNAL_ERROR, INVALID_PARAMETERS = -1, -32602


# connect


@pytest.mark.parametrize(
    ("params", "hints"),
    [
        ({"id": NODE.hex()}, []),
        ({"id": f"{NODE.hex()}@1.2.3.4"}, ["1.2.3.4:19846"]),
        ({"id": f"{NODE.hex()}@[::1]:5"}, ["[::1]:5"]),
        ({"id": NODE.hex(), "host": "1.2.3.4"}, ["1.2.3.4:19846"]),
        ({"id": NODE.hex(), "host": "1.2.3.4", "port": 7}, ["1.2.3.4:7"]),
        ({"id": NODE.hex(), "host": "::1", "port": 7}, ["[::1]:7"]),
        ({"id": NODE.hex(), "host": "[::1]", "port": 7}, ["[::1]:7"]),
        ({"id": NODE.hex(), "host": "::1"}, ["[::1]:19846"]),
        ({"id": NODE.hex(), "host": "1.2.3.4:9735"}, ["1.2.3.4:9735"]),
        ({"id": NODE.hex(), "host": "example.com:7"}, ["example.com:7"]),
        ({"id": NODE.hex(), "host": "[::1]:7"}, ["[::1]:7"]),
        ({"id": NODE.hex(), "host": "example.com", "port": 7}, ["example.com:7"]),
        ({"id": NODE.hex(), "host": "/a/path"}, ["/a/path"]),
        ({"id": f"{NODE.hex()}@1.2.3.4:5", "host": "4.3.2.1", "port": 6}, ["1.2.3.4:5", "4.3.2.1:6"]),
    ],
)
async def test_connect_hints(rpc: Rpc, params: dict[str, object], hints: list[str]) -> None:
    info = rpc.peer()
    rpc.connectd.answer = lambda request: ReachPeerReply(info)
    answer = await rpc("connect", **params)
    assert rpc.connectd.asked == [ReachPeer(NODE, hints)]
    assert answer == {
        "id": NODE.hex(),
        "features": "80",
        "direction": "out",
        "address": {"type": "ipv4", "address": "1.2.3.4", "port": 9735},
    }
    assert rpc.remembered() == ["1.2.3.4:9735"]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"id": "02" + "ff" * 32},
        {"id": NODE.hex(), "port": 7},
        {"id": NODE.hex(), "host": "1.2.3.4", "port": 65536},
        {"id": NODE.hex(), "host": "no such host!"},
        {"id": f"{NODE.hex()}@"},
        {"id": f"{NODE.hex()}@1.2.3.4:99999"},
    ],
)
async def test_connect_with_bad_parameters(rpc: Rpc, params: dict[str, object]) -> None:
    assert (await rpc.code("connect", **params))[0] == INVALID_PARAMETERS
    assert rpc.connectd.asked == []


async def test_connect_tries_what_has_worked_before(rpc: Rpc) -> None:
    rpc.database.remember_address(NODE, "9.9.9.9:9", 1.0)
    info = rpc.peer(incoming=True, address="5.6.7.8:999")
    rpc.connectd.answer = lambda request: ReachPeerReply(info)
    assert (await rpc("connect", id=f"{NODE.hex()}@1.2.3.4"))["direction"] == "in"
    assert rpc.connectd.asked == [ReachPeer(NODE, ["1.2.3.4:19846", "9.9.9.9:9"])]
    assert rpc.remembered() == ["9.9.9.9:9"], "where it came from is not where it can be reached"


async def test_connect_fails(rpc: Rpc) -> None:
    tried = [("1.2.3.4:5", "refused"), ("4.3.2.1:6", "timed out")]
    rpc.connectd.answer = lambda request: ReachPeerReplyfail(error="All addresses failed", code=401, errors=tried)
    with pytest.raises(RpcError) as error:
        await rpc("connect", id=NODE.hex())
    assert (error.value.code, error.value.message) == (401, "All addresses failed")
    assert error.value.data == {
        "tried": [{"address": "1.2.3.4:5", "error": "refused"}, {"address": "4.3.2.1:6", "error": "timed out"}]
    }


async def test_connect_to_a_peer_that_leaves_at_once(rpc: Rpc) -> None:
    """Its end was heard of before connectd's answer."""
    info = rpc.peer()
    rpc.ownership.heard(GOSSIPD, PeerDisconnected(NODE, 1, "gone"))
    rpc.connectd.answer = lambda request: ReachPeerReply(info)
    assert (await rpc.code("connect", id=NODE.hex()))[0] == 402


async def test_connect_dials_once_more_when_the_first_has_ended_again(rpc: Rpc) -> None:
    """As when two dials have crossed, and each node has closed the one that the other keeps."""
    first = rpc.peer()
    rpc.ownership.heard(GOSSIPD, PeerDisconnected(NODE, 1, "crossed"))
    second = replace(first, conn_id=2)

    def answer(_: object) -> ReachPeerReply:
        if len(rpc.connectd.asked) == 1:
            return ReachPeerReply(first)
        rpc.ownership.peer_handed_over(second)
        rpc.ownership.heard(GOSSIPD, PeerTaken(second))
        return ReachPeerReply(second)

    rpc.connectd.answer = answer
    assert (await rpc("connect", id=NODE.hex()))["id"] == NODE.hex()
    assert len(rpc.connectd.asked) == 2


# Other commands on peers


async def test_listpeers(rpc: Rpc) -> None:
    rpc.peer(remote_addr="7.7.7.7:7", incoming=True)
    (peer,) = (await rpc("listpeers"))["peers"]
    assert peer | {"connected_since": 0, "moves": [], "feature_names": []} == {
        "id": NODE.hex(),
        "connected": True,
        "num_channels": 0,
        "netaddr": ["1.2.3.4:9735"],
        "features": "80",
        "owner": "gossipd",
        "conn_id": 1,
        "direction": "in",
        "connected_since": 0,
        "feature_names": [],
        "keepconnected": False,
        "moves": [],
        "remote_addr": "7.7.7.7:7",
    }
    assert (await rpc("listpeers", id=NODE.hex(), level="debug"))["peers"] == [peer]


async def test_listpeers_with_what_its_owner_counts(rpc: Rpc) -> None:
    rpc.peer()
    stats = [PeerStats(7, Traffic(), 1.0, 0), PeerStats(1, Traffic(100, 200, 3, 4), 0.0125, 5)]
    rpc.gossipd.answer = lambda request: ListPeersReply(stats)
    (peer,) = (await rpc("listpeers"))["peers"]
    counted = ("bytes_in", "bytes_out", "messages_in", "messages_out", "new_gossip", "ping_ms")
    assert [peer[name] for name in counted] == [100, 200, 3, 4, 5, 12.5]
    assert rpc.gossipd.asked == [ListPeers()]


async def test_listpeers_shows_whom_we_want_to_be_connected_with(rpc: Rpc) -> None:
    now = asyncio.get_running_loop().time()
    rpc.kept.keep(NODE, now, connected=False)
    rpc.kept.take_due(now)
    rpc.kept.failed(NODE, now, "it is asleep")
    rpc.database.remember_hint(NODE, "9.9.9.9:9")
    (missing,) = (await rpc("listpeers", id=NODE.hex()))["peers"]
    assert 0 < missing.pop("next_try_in") <= 1
    assert missing == {
        "id": NODE.hex(),
        "connected": False,
        "num_channels": 0,
        "netaddr": ["9.9.9.9:9"],
        "keepconnected": True,
        "tries": 1,
        "last_error": "it is asleep",
    }
    rpc.peer()
    (peer,) = (await rpc("listpeers"))["peers"]
    assert (peer["connected"], peer["keepconnected"]) == (True, True)


async def test_without_a_peer(rpc: Rpc) -> None:
    for method, params in (
        ("ping", {"id": NODE.hex()}),
        ("disconnect", {"id": NODE.hex()}),
        ("sendcustommsg", {"node_id": NODE.hex(), "msg": "8001"}),
        ("takepeer", {"service": "s", "id": NODE.hex()}),
    ):
        assert await rpc.code(method, **params) == (INTERNAL_ERROR, "Peer not connected")
    assert (await rpc("listpeers", id=NODE.hex()))["peers"] == []


async def test_ping(rpc: Rpc) -> None:
    rpc.peer(3)
    rpc.gossipd.answer = lambda request: Pong(132)
    assert await rpc("ping", id=NODE.hex()) == {"totlen": 132}
    assert await rpc("ping", id=NODE.hex(), len=65529, pongbytes=65535) == {"totlen": 132}
    assert rpc.gossipd.asked == [Ping(NODE, 3, 128, 128), Ping(NODE, 3, 65535, 65529)]
    rpc.gossipd.answer = lambda request: PingReplyfail("it left")
    assert await rpc.code("ping", id=NODE.hex()) == (INTERNAL_ERROR, "it left")


async def test_sendcustommsg(rpc: Rpc) -> None:
    rpc.peer(3)
    rpc.gossipd.answer = lambda request: SendMessageReply()
    await rpc("sendcustommsg", node_id=NODE.hex(), msg="8001ff")
    assert rpc.gossipd.asked == [SendMessage(NODE, 3, bytes.fromhex("8001ff"))]


async def test_disconnect_of_a_service_needs_force(rpc: Rpc) -> None:
    rpc.peer()
    peer = rpc.ownership.peers.of_node(NODE)
    assert peer is not None
    peer.owner = "s"
    assert "force" in (await rpc.code("disconnect", id=NODE.hex()))[1]


async def test_takepeer_of_what_gossipd_has_not_got(rpc: Rpc) -> None:
    rpc.peer()
    assert await rpc("takepeer", service="s", id=NODE.hex()) == {}
    assert (await rpc.code("takepeer", service="s", id=NODE.hex()))[0] == INTERNAL_ERROR
    assert (await rpc.code("takepeer", service="t", id=NODE.hex()))[0] == INVALID_PARAMETERS


# The others


async def test_gossip(rpc: Rpc) -> None:
    counters = {"channels": 3, "asked": 10, "wanted": 10, "got": 5}
    rpc.peer()
    (conn_id,) = (peer.info.conn_id for peer in rpc.ownership.peers)
    worth = [PeerGossip(conn_id, 9, 8, 7, 6, 120, True), PeerGossip(conn_id + 1, 0, 0, 0, 0, 0, False)]
    rpc.gossipd.answer = lambda request: GossipStatusReply("normal", list(counters.items()), worth)
    status = await rpc("gossipstatus")
    assert [peer["id"] for peer in status.pop("peer_gossip")] == [NODE.hex(), None]
    assert status == {"state": "normal", "percent": 25, **counters}
    rpc.gossipd.answer = lambda request: AddGossipReplyfail("bad signature")
    assert await rpc.code("addgossip", message="0100") == (INVALID_PARAMETERS, "message: bad signature")
    assert [type(request) for request in rpc.gossipd.asked] == [GossipStatus, AddGossip]


async def test_compactgossipstore(rpc: Rpc) -> None:
    rpc.gossipd.answer = lambda request: CompactStoreReply(42)
    assert await rpc("compactgossipstore") == {"store_bytes": 42}
    rpc.gossipd.answer = lambda request: CompactStoreReplyfail("the disk is full")
    assert await rpc.code("compactgossipstore") == (INTERNAL_ERROR, "the disk is full")


async def test_getinfo(rpc: Rpc) -> None:
    info = await rpc("getinfo")
    assert info["binding"] == [
        {"type": "ipv4", "address": "127.0.0.1", "port": 19846},
        {"type": "ipv6", "address": "::1", "port": 1234},
        {"type": "local socket", "socket": "/a/path"},
    ]
    assert info["address"] == [{"type": "dns", "address": "example.com", "port": 9735}]
    assert (info["network"], info["color"], info["num_peers"]) == ("regtest", "0279be", 0)
    assert "chain" in info["warning_bitcoind_sync"]


async def test_listchannels_takes_one_filter(rpc: Rpc) -> None:
    code, _ = await rpc.code("listchannels", source=NODE.hex(), destination=NODE.hex())
    assert code == INVALID_PARAMETERS


async def test_stop(rpc: Rpc) -> None:
    assert await rpc("stop") == {"result": "Shutdown complete"}
    assert rpc.stopped == [0]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("connect", {"id": NODE.hex()}),
        ("ping", {"id": NODE.hex()}),
        ("sendcustommsg", {"node_id": NODE.hex(), "msg": "8001"}),
        ("addgossip", {"message": "0100"}),
        ("gossipstatus", {}),
    ],
)
async def test_when_a_daemon_has_died(rpc: Rpc, method: str, params: dict[str, object]) -> None:
    """An error for the client, and no bug of ours."""
    rpc.peer()
    assert (await rpc.code(method, **params))[0] == INTERNAL_ERROR
