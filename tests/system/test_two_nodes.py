"""Two nodes on loopback: connecting, the map that goes across, what can be said to a peer, and the end of it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.small_map import CHANNELS, NODES
from tests.harness.waiting import until

NO_ADDRESS_KNOWN, ALL_ADDRESSES_FAILED, DISCONNECTED_DURING, INVALID_PARAMS = 400, 401, 402, -32602
STRANGER = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
"""A point of the curve, and nobody's node."""


@pytest.fixture(scope="module")
def pair(shared_nodes: Nodes, small_map_store: Path) -> tuple[Node, Node]:
    """The first one knows the small map."""
    shutil.copy(small_map_store, shared_nodes.directory("l1") / "regtest" / "gossip_store")
    l1, l2 = shared_nodes.begin(name="l1"), shared_nodes.begin(name="l2")
    return l1.ready(), l2.ready()


@pytest.fixture
async def l1(pair: tuple[Node, Node]) -> AsyncIterator[Node]:
    yield pair[0]
    await pair[0].be_alone()


@pytest.fixture
async def l2(pair: tuple[Node, Node]) -> AsyncIterator[Node]:
    yield pair[1]
    await pair[1].be_alone()


async def test_map_goes_across(l1: Node, l2: Node) -> None:
    answer = await l2.rpc("connect", id=l1.target)
    assert (answer["id"], answer["direction"]) == (l1.node_id, "out")
    assert answer["address"] == {"type": "ipv4", "address": "127.0.0.1", "port": l1.port}

    async def whole() -> bool:
        listed = (await l2.rpc("listnodes"))["nodes"]
        updates = len((await l2.rpc("listchannels"))["channels"])
        return (updates, sum("alias" in node for node in listed)) == (2 * CHANNELS, NODES)

    await until(whole, "the map does not come across")
    for method, what in (("listchannels", "channels"), ("listnodes", "nodes")):
        ours, theirs = (await l2.rpc(method))[what], (await l1.rpc(method))[what]
        assert by_name(ours) == by_name(theirs)
    assert len(by_name(ours)) == NODES


def by_name(entries: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """What peers can tell each other: no amounts, which are the chain's."""
    named = {
        entry.get("nodeid") or (entry["short_channel_id"], entry["direction"]): entry
        | {"amount_msat": 0, "unchecked": True}
        for entry in entries
    }
    assert len(named) == len(entries), "an entry is listed twice"
    return named


async def test_both_say_who_owns_the_connection(l1: Node, l2: Node) -> None:
    """The direct path: the master hears of the connection only when gossipd has it."""
    await l2.rpc("connect", id=l1.node_id, host="127.0.0.1", port=l1.port)
    await l1.logged(f"{l2.node_id}.*given to gossipd")
    await until(lambda: knows(l1, l2), "l1 does not list l2")
    for us, them, direction in ((l1, l2, "in"), (l2, l1, "out")):
        peer = await us.peer(them.node_id)
        assert (peer["connected"], peer["owner"], peer["direction"]) == (True, "gossipd", direction)
        assert [(move["owner"], move["message"]) for move in peer["moves"]] == [("gossipd", "peer_taken")]
        assert "option_gossip_queries/odd" in peer["feature_names"]
    assert (await l2.peer(l1.node_id))["netaddr"] == [l1.bindings[0]]


async def knows(node: Node, other: Node) -> bool:
    return other.node_id in await node.peers()


async def test_connecting_to_a_live_peer_answers_at_once(l1: Node, l2: Node) -> None:
    first = await l2.rpc("connect", id=l1.target)
    conn_id = (await l2.peer(l1.node_id))["conn_id"]
    assert await l2.rpc("connect", id=l1.node_id) == first
    assert (await l2.peer(l1.node_id))["conn_id"] == conn_id
    await until(lambda: knows(l1, l2), "l1 does not list l2")
    assert (await l1.rpc("connect", id=l2.node_id))["direction"] == "in"


async def test_an_address_that_worked_is_remembered(l1: Node, l2: Node) -> None:
    await l2.rpc("connect", id=l1.target)
    await l2.rpc("disconnect", id=l1.node_id)
    assert (await l2.rpc("connect", id=l1.node_id))["direction"] == "out"


async def test_requests_for_one_node_share_its_connection(l1: Node, l2: Node) -> None:
    answers = await asyncio.gather(*(l2.rpc("connect", id=l1.target) for _ in range(5)))
    assert answers == [answers[0]] * 5
    assert len(await l2.peers()) == 1


async def test_both_dial_at_once(l1: Node, l2: Node) -> None:
    """Newest wins at both ends, which may end both connections: but the nodes never disagree for long."""
    for _ in range(5):
        answers = await asyncio.gather(
            l2.rpc("connect", id=l1.target), l1.rpc("connect", id=l2.target), return_exceptions=True
        )
        failed = [answer for answer in answers if isinstance(answer, BaseException)]
        assert all(isinstance(why, RpcError) and why.code == DISCONNECTED_DURING for why in failed), answers
        await until(lambda: both_answer(l1, l2), "the nodes have lost each other")
        await l1.rpc("disconnect", id=l2.node_id)
        await until(lambda: is_alone(l2), "l2 does not notice")


async def both_answer(l1: Node, l2: Node) -> bool:
    """Each is the other's peer; connects them again if they have lost each other."""
    try:
        await l1.rpc("connect", id=l2.target)
        await l1.rpc("ping", id=l2.node_id)
        await l2.rpc("ping", id=l1.node_id)
        return {(await l1.peer(l2.node_id))["direction"], (await l2.peer(l1.node_id))["direction"]} == {"in", "out"}
    except (RpcError, KeyError):
        return False


async def is_alone(node: Node) -> bool:
    return not await node.peers()


@pytest.mark.bolt("B1-37")
async def test_ping(l1: Node, l2: Node) -> None:
    await l2.rpc("connect", id=l1.target)
    assert (await l2.rpc("ping", id=l1.node_id))["totlen"] == 4 + 128
    assert (await l2.rpc("ping", id=l1.node_id, len=0, pongbytes=0))["totlen"] == 4
    assert (await l2.rpc("ping", id=l1.node_id, len=65529, pongbytes=65531))["totlen"] == 4 + 65531
    assert (await l2.rpc("ping", id=l1.node_id, len=10, pongbytes=65532))["totlen"] == 0
    assert (await failure(l2, "ping", id=l1.node_id, len=65530)).code == INVALID_PARAMS
    assert (await failure(l2, "ping", id=STRANGER)).message == "Peer not connected"


async def failure(node: Node, method: str, **params: object) -> RpcError:
    with pytest.raises(RpcError) as error:
        await node.rpc(method, **params)
    return error.value


async def test_disconnect_is_done_when_it_answers(l1: Node, l2: Node) -> None:
    await l2.rpc("connect", id=l1.target)
    await until(lambda: knows(l1, l2), "l1 does not list l2")
    assert await l2.rpc("disconnect", id=l1.node_id) == {}
    assert await l2.peers() == {}
    await until(lambda: is_alone(l1), "l1 does not notice")
    assert (await failure(l2, "disconnect", id=l1.node_id)).message == "Peer not connected"


async def test_no_address_is_known(l2: Node) -> None:
    error = await failure(l2, "connect", id=STRANGER)
    assert (error.code, error.data) == (NO_ADDRESS_KNOWN, None)


async def test_each_address_that_was_tried_is_told(l1: Node, l2: Node, unused_ports: list[int]) -> None:
    """A hint of nobody, and then a hint where somebody else lives."""
    error = await failure(l2, "connect", id=f"{STRANGER}@127.0.0.1:{unused_ports[0]}")
    assert error.code == ALL_ADDRESSES_FAILED
    assert [tried["address"] for tried in error.data["tried"]] == [f"127.0.0.1:{unused_ports[0]}"]
    assert "refused" in error.data["tried"][0]["error"]
    assert f"127.0.0.1:{unused_ports[0]}" in error.message
    both = await failure(l2, "connect", id=f"{STRANGER}@127.0.0.1:{unused_ports[1]}", host="127.0.0.1", port=l1.port)
    assert [tried["address"] for tried in both.data["tried"]] == [f"127.0.0.1:{unused_ports[1]}", l1.bindings[0]]


async def test_our_own_id(l2: Node) -> None:
    error = await failure(l2, "connect", id=l2.target)
    assert error.code == ALL_ADDRESSES_FAILED
    assert "our own id" in error.message


async def test_an_id_that_is_no_point(l2: Node) -> None:
    for bad in ("02" + "ff" * 32, "05" + "11" * 32, "02", "nobody"):
        assert (await failure(l2, "connect", id=f"{bad}@127.0.0.1:9735")).code == INVALID_PARAMS


@pytest.mark.bolt("B1-5")
async def test_custom_messages_go_out_as_they_are(l2: Node) -> None:
    async with await ScriptedPeer.connect(l2.target) as peer:
        await peer.sync()
        answer = await l2.rpc("sendcustommsg", node_id=peer.node_id.hex(), msg="8001c0ffee")
        assert "status" in answer
        assert (await peer.hear(0x8001)).encode() == bytes.fromhex("8001c0ffee")


@pytest.mark.parametrize("message", ["", "80", "8000ff", "0012000000", "0100ff", "0020" + "00" * 32])
async def test_custom_messages_are_nobody_elses(l2: Node, message: str) -> None:
    async with await ScriptedPeer.connect(l2.target) as peer:
        await peer.sync()
        assert (await failure(l2, "sendcustommsg", node_id=peer.node_id.hex(), msg=message)).code == INVALID_PARAMS
        await peer.sync()
    assert (await failure(l2, "sendcustommsg", node_id=STRANGER, msg="8001ff")).message == "Peer not connected"


async def test_a_message_of_the_greatest_size(l2: Node) -> None:
    async with await ScriptedPeer.connect(l2.target) as peer:
        await peer.sync()
        await l2.rpc("sendcustommsg", node_id=peer.node_id.hex(), msg="8001" + "55" * 65533)
        assert len((await peer.hear(0x8001)).encode()) == 65535
        too_long = await failure(l2, "sendcustommsg", node_id=peer.node_id.hex(), msg="8001" + "55" * 65534)
        assert too_long.code == INVALID_PARAMS
        await peer.sync()


async def test_newest_connection_of_a_node_wins(l2: Node) -> None:
    """The older one's end is reported, once, before the newer one goes to its owner (B1-1)."""
    start, privkey = len(l2.lines), bytes([41]) * 32
    conn_ids = []
    peers = []
    for _ in range(4):
        peers.append(await ScriptedPeer.connect(l2.target, privkey=privkey))
        await peers[-1].sync()
        peer = await l2.peer(peers[-1].node_id)
        conn_ids.append(peer["conn_id"])
    for older in peers[:-1]:
        await older.hangs_up()
        await older.close()
    assert conn_ids == sorted(set(conn_ids))
    assert list(await l2.peers()) == [peers[-1].node_id.hex()]

    async def told_of_all() -> bool:
        return sum("lightningd: disconnected: the node has connected again" in line for line in l2.lines[start:]) == 3

    await until(told_of_all, "not each of the older ones' ends is in the log, once")
    await peers[-1].sync()
    await peers[-1].close()


async def test_many_connections_of_a_node_at_once(l2: Node) -> None:
    """One of them remains, and it works."""
    privkey = bytes([42]) * 32
    peers = await asyncio.gather(
        *(ScriptedPeer.connect(l2.target, privkey=privkey) for _ in range(8)), return_exceptions=True
    )
    connected = [peer for peer in peers if isinstance(peer, ScriptedPeer)]
    node_id = connected[0].node_id.hex()

    async def answered() -> bool:
        try:
            return bool((await l2.rpc("ping", id=node_id))["totlen"] > 0)
        except RpcError:
            return False

    listening = [asyncio.create_task(peer.hangs_up(30)) for peer in connected]
    await until(answered, "no connection has remained")
    await asyncio.wait(listening, return_when=asyncio.FIRST_COMPLETED)

    async def one_left() -> bool:
        return sum(not task.done() for task in listening) == 1

    await until(one_left, "more than one connection remains")
    await l2.rpc("disconnect", id=node_id)
    await asyncio.gather(*listening)
    for peer in connected:
        await peer.close()


async def test_a_peer_that_leaves_is_reported_once(l2: Node) -> None:
    start = len(l2.lines)
    async with await ScriptedPeer.connect(l2.target) as peer:
        await peer.sync()
        node_id = peer.node_id.hex()
    await l2.logged(f"{node_id}-lightningd: disconnected", start)
    await until(lambda: is_alone(l2), "it is still listed")
    assert sum(f"{node_id}-lightningd: disconnected" in line for line in l2.lines[start:]) == 1


async def test_a_peers_error_is_remembered(l2: Node) -> None:
    async with await ScriptedPeer.connect(l2.target) as peer:
        await peer.say(bytes.fromhex("0011" + "00" * 32 + "0005") + b"oh no")
        await peer.sync()

        async def told() -> bool:
            return "oh no" in (await l2.peer(peer.node_id)).get("last_error", "")

        await until(told, "listpeers does not have the error")


async def test_gossip_of_a_user(nodes: Nodes, small_map: SyntheticMap) -> None:
    """The whole map by addgossip, and what is wrong told in a sentence."""
    node, messages = nodes.start(), list(small_map.messages())
    spoilt = messages[0][:10] + bytes([messages[0][10] ^ 1]) + messages[0][11:]
    for bad in (spoilt.hex(), messages[0][:50].hex(), "0012", "", "0100"):
        error = await failure(node, "addgossip", message=bad)
        assert error.code == INVALID_PARAMS
        assert len(error.message) > len("message: ")
    assert (await node.rpc("listchannels"))["channels"] == []
    for message in [*messages, messages[0]]:
        assert await node.rpc("addgossip", message=message.hex()) == {}
    assert len((await node.rpc("listchannels"))["channels"]) == 2 * CHANNELS
    status = await node.rpc("gossipstatus")
    assert (status["channels"], status["nodes"]) == (CHANNELS, NODES)


async def test_command_line(l1: Node, l2: Node) -> None:
    done = await l2.cli("connect", l1.target)
    assert (done.returncode, done.stderr) == (0, "")
    listed = await l2.cli("listpeers")
    assert '"owner": "gossipd"' in listed.stdout
    failed = await l2.cli("disconnect", STRANGER)
    assert failed.returncode == 1
    assert "Peer not connected" in failed.stdout
