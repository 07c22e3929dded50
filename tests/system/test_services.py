"""Services: who gets a connection, with which message, and where it goes afterwards. The services are puppets."""

import asyncio

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap
from tests.harness import processes
from tests.harness.moves import (
    CHAIN,
    GIVEN_BACK,
    PRIVILEGED,
    TAKEN,
    TEMPORARY_ID,
    about_channel,
    is_gone,
    moves,
    opening,
    owner,
    ping,
)
from tests.harness.node import Node, RpcError
from tests.harness.puppeteer import Puppet, Puppeteer
from tests.harness.waiting import until
from wire.peer_wire import ErrorMessage, GossipTimestampFilter, WarningMessage

FAILED, INVALID_PARAMS = -1, -32602


async def test_a_service_takes_the_peer_and_gives_it_back(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    await peer.say(opening())
    puppet = await puppets.next()
    about = puppet.about
    assert (about["service"], about["node_id"]) == ("puppet", peer.node_id.hex())
    assert about["message"] == opening().hex()
    assert about["conn_id"] == (await node.peer(peer.node_id))["conn_id"]
    assert sorted(about["routes"]) == [
        [7, "copy"],
        [32, "take"],
        [33, "take"],
        [64, "take"],
        [136, "take"],
        [513, "copy"],
        [9999, "take"],
        [40000, "copy"],
    ]
    assert await owner(node, peer) == "puppet"
    assert await moves(node, peer) == TAKEN
    await puppet("say", message="8001aa")
    assert (await peer.hear(0x8001)).encode().hex() == "8001aa"
    await peer.say(bytes.fromhex("8003bb"))
    assert await puppet("hear") == "8003bb"
    await puppet("give_back", send=("8001cc",))
    await puppet.ended()
    await peer.sync()
    assert [said.encode().hex() for said in peer.heard if said.number == 0x8001] == ["8001cc"]
    assert await moves(node, peer) == TAKEN + GIVEN_BACK
    assert await ping(node, peer) == 132


async def test_message_is_delivered_once_and_what_follows_is_too(
    node: Node, peer: ScriptedPeer, puppets: Puppeteer
) -> None:
    """100 messages behind the one that moves the connection, in one write."""
    behind = [b"\x80\x01" + number.to_bytes(2, "big") for number in range(100)]
    await peer.say(opening(), *behind)
    puppet = await puppets.next()
    assert puppet.about["message"] == opening().hex()
    assert [await puppet("hear") for _ in range(60)] == [message.hex() for message in behind[:60]]
    await puppet("give_back")
    assert await peer.sync() is not None
    assert await owner(node, peer) == "gossipd"


async def test_fds_pass_between_processes(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    """The socket's inode leaves gossipd and appears in the program, and back; no other process has it."""
    pids = node.pids()
    processes.look_into(pids["gossipd"])
    await peer.say(opening())
    puppet = await puppets.next()
    inode = puppet.about["peer_inode"]
    await until(lambda: is_held_by(node, inode, puppet), "gossipd keeps the socket")
    assert puppet.about["fds"][:4] == [0, 1, 2, 3]
    assert len(puppet.about["fds"]) == 8, "besides them the peer fd, the gossip fd, the strings, and what lists them"
    await puppet("give_back")
    await peer.sync()

    async def only_gossipd() -> bool:
        return holders(node, inode) == [pids["gossipd"]]

    await until(only_gossipd, "another process keeps the socket")  # the master closes its copy when it is sent
    await peer.say(opening())
    again = await puppets.next()
    assert again.about["peer_inode"] == inode
    await until(lambda: is_held_by(node, inode, again), "gossipd keeps the socket")
    await again("give_back")
    await peer.sync()


async def is_held_by(node: Node, inode: int, puppet: Puppet) -> bool:
    """By the program, and by the master, to end it. gossipd closes its copy when it is sent."""
    return holders(node, inode) == sorted([node.process.pid, puppet.about["pid"]])


def holders(node: Node, inode: int) -> list[int]:
    return sorted(pid for pid in node.survivors() if inode in processes.sockets(pid))


async def test_program_that_leaves_without_giving_back(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    start = len(node.lines)
    await peer.say(opening())
    await (await puppets.next()).exit(status=3)
    await peer.hangs_up()
    await node.logged("exited with 3", start)
    await node.logged("lightningd: disconnected", start)
    await until(lambda: is_gone(node, peer), "it is still listed")
    ended = [line for line in node.lines[start:] if "lightningd: disconnected" in line]
    assert len(ended) == 1
    assert "puppet" in ended[0]


async def test_program_that_says_it_is_over(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    start = len(node.lines)
    await peer.say(opening())
    puppet = await puppets.next()
    await puppet("disconnected", reason="enough of this one")
    await peer.hangs_up()
    await puppet.ended()
    await node.logged("disconnected: enough of this one", start)
    assert sum("lightningd: disconnected" in line for line in node.lines[start:]) == 1


async def test_program_that_cannot_be_started(node: Node, peer: ScriptedPeer) -> None:
    """Treated as if there were no such service, and told to the operator."""
    start = len(node.lines)
    await peer.say(about_channel(33))
    answers = [said for said in await peer.sync() if isinstance(said, WarningMessage)]
    assert [answer.channel_id for answer in answers] == [TEMPORARY_ID]
    assert await owner(node, peer) == "gossipd"
    await node.logged("UNUSUAL .*/no/such/program", start)
    assert sum("UNUSUAL" in line for line in node.lines[start:]) == 1


async def test_peer_leaves_while_a_program_has_it(node: Node, puppets: Puppeteer) -> None:
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(opening())
        puppet = await puppets.next()
    assert await puppet("hear") == ""
    assert await owner(node, peer) == "puppet"
    await puppet("give_back")
    await until(lambda: is_gone(node, peer), "it is still listed")


async def test_disconnect_while_a_program_has_it(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    await peer.say(opening())
    puppet = await puppets.next()
    node_id = peer.node_id.hex()
    with pytest.raises(RpcError) as error:
        await node.rpc("disconnect", id=node_id)
    assert "puppet" in error.value.message
    ending = asyncio.create_task(node.rpc("disconnect", id=node_id, force=True))
    assert (await puppet("obey"))["name"] == "disconnect"
    assert not ending.done()
    await puppet("disconnected", reason="as you wish")
    assert await ending == {}
    assert await is_gone(node, peer)
    await peer.hangs_up()


async def test_disconnect_crosses_with_giving_back(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    """The master then has the connection, and ends it itself."""
    await peer.say(opening())
    puppet = await puppets.next()
    ending = asyncio.create_task(node.rpc("disconnect", id=peer.node_id.hex(), force=True))
    assert (await puppet("obey"))["name"] == "disconnect"
    await puppet("give_back")
    assert await ending == {}
    await peer.hangs_up()


async def test_the_node_connects_again_while_a_program_has_it(node: Node, puppets: Puppeteer) -> None:
    """The program is told, and the newer connection goes on when the older one's end is reported."""
    privkey = bytes([78]) * 32
    async with await ScriptedPeer.connect(node.target, privkey=privkey) as older:
        await older.say(opening())
        puppet = await puppets.next()
        async with await ScriptedPeer.connect(node.target, privkey=privkey) as newer:
            order = await puppet("obey")
            assert (order["name"], order["conn_id"]) == ("disconnect", puppet.about["conn_id"])
            assert await owner(node, older) == "puppet"
            await puppet("disconnected", reason="it has come again")
            await newer.sync()
            assert (await node.peer(newer.node_id))["conn_id"] > puppet.about["conn_id"]
            assert await owner(node, newer) == "gossipd"


async def test_commands_reach_the_program(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    await peer.say(opening())
    puppet = await puppets.next()
    node_id = peer.node_id.hex()
    pinging = asyncio.create_task(node.rpc("ping", id=node_id, len=1, pongbytes=2))
    order = await puppet("obey")
    assert (order["name"], order["num_pong_bytes"], order["ignored_len"]) == ("ping", 2, 1)
    await puppet("reply", name="Pong", totlen=6)
    assert await pinging == {"totlen": 6}
    sending = asyncio.create_task(node.rpc("sendcustommsg", node_id=node_id, msg="8001ff"))
    assert (await puppet("obey"))["name"] == "send_message"
    await puppet("reply", name="SendMessageReplyfail", error="I would rather not")
    with pytest.raises(RpcError, match="I would rather not"):
        await sending
    waiting = asyncio.create_task(node.rpc("ping", id=node_id))
    assert (await puppet("obey"))["name"] == "ping"
    await puppet("give_back")
    with pytest.raises(RpcError):
        await waiting
    await peer.sync()
    assert await ping(node, peer) == 132


async def test_registered_node_is_taken_before_gossipd_sees_it(node: Node, puppets: Puppeteer) -> None:
    """So its service can speak first."""
    async with await ScriptedPeer.connect(node.target, privkey=PRIVILEGED) as peer:
        puppet = await puppets.next()
        assert puppet.about["message"] is None
        assert await moves(node, peer) == [("master", "peer_connected"), ("puppet", "take_peer")]
        await puppet("say", message="8001aa")
        assert (await peer.hear()).encode().hex() == "8001aa"
        await puppet("give_back")
        await peer.sync()
        assert await owner(node, peer) == "gossipd"
        assert [said for said in peer.heard if isinstance(said, GossipTimestampFilter)], "gossipd asks for gossip now"


async def test_takepeer(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    node_id = peer.node_id.hex()
    assert await node.rpc("takepeer", service="puppet", id=node_id) == {}
    puppet = await puppets.next()
    assert puppet.about["message"] is None
    assert (await moves(node, peer))[1:] == [("master", "release_peer_reply"), ("puppet", "take_peer")]
    with pytest.raises(RpcError) as error:
        await node.rpc("takepeer", service="puppet", id=node_id)
    assert error.value.code == FAILED
    await puppet("give_back")
    await peer.sync()
    with pytest.raises(RpcError) as error:
        await node.rpc("takepeer", service="nobody", id=node_id)
    assert error.value.code == INVALID_PARAMS


async def test_takepeer_of_what_cannot_be_started(node: Node, peer: ScriptedPeer) -> None:
    """The connection goes back to gossipd."""
    await node.rpc("takepeer", service="missing", id=peer.node_id.hex())
    await peer.sync()
    assert await owner(node, peer) == "gossipd"


@pytest.mark.parametrize("number", [9999, 136])
async def test_take_routes_of_other_messages(node: Node, peer: ScriptedPeer, puppets: Puppeteer, number: int) -> None:
    await peer.say(about_channel(number))
    puppet = await puppets.next()
    assert puppet.about["message"] == about_channel(number).hex()
    await puppet("give_back")
    await peer.sync()


@pytest.mark.parametrize("number", [513, 40000])
async def test_copy_routes_leave_the_connection_where_it_is(node: Node, peer: ScriptedPeer, number: int) -> None:
    await peer.say(about_channel(number))
    await peer.sync()
    assert await moves(node, peer) == TAKEN[:1]


async def test_several_peers_at_once(node: Node, puppets: Puppeteer) -> None:
    peers = [await ScriptedPeer.connect(node.target) for _ in range(3)]
    for peer in peers:
        await peer.say(opening())
    taken = {puppet.about["node_id"]: puppet for puppet in [await puppets.next() for _ in peers]}
    assert set(taken) == {peer.node_id.hex() for peer in peers}
    assert len({puppet.about["pid"] for puppet in taken.values()}) == 3
    for peer in peers:
        puppet = taken[peer.node_id.hex()]
        await puppet("say", message="8001aa")
        await peer.hear(0x8001)
        await puppet("give_back")
        await peer.sync()
        await peer.close()


async def test_gossip_flows_while_a_program_has_the_peer(
    node: Node, peer: ScriptedPeer, puppets: Puppeteer, small_map: SyntheticMap
) -> None:
    """What the peer says is taken in; what it asks for comes; what was left in the pipe comes after giving back."""
    await peer.say(opening())
    puppet = await puppets.next()
    await puppet("gossip_say", packet="0000")
    for message in small_map.messages():
        await puppet("gossip_say", packet=message.hex())
    total = len(list(small_map.messages()))

    async def listed() -> bool:
        status = await node.rpc("gossipstatus")
        nodes = (await node.rpc("listnodes"))["nodes"]
        return bool(status["channels"] == len(small_map.edges) and len(nodes) == status["nodes"])

    await until(listed, "what went through the gossip fd is not on the map")
    everything = GossipTimestampFilter(chain_hash=CHAIN, first_timestamp=0, timestamp_range=0xFFFFFFFF)
    await puppet("gossip_say", packet=everything.encode().hex())
    first = [await puppet("gossip_hear") for _ in range(10)]
    await puppet("give_back")
    await peer.sync()
    rest = [said for said in peer.heard if said.number in (256, 257, 258)]
    assert len(first) == 10
    assert len(rest) <= total


# The example


async def test_example_refuses_channels(node: Node, peer: ScriptedPeer) -> None:
    await peer.say(opening(64))
    answers = [said for said in await peer.sync() if isinstance(said, ErrorMessage)]
    assert [(answer.channel_id, answer.text()) for answer in answers] == [(TEMPORARY_ID, "this node opens no channels")]
    assert [name for name, _ in await moves(node, peer)] == [
        "gossipd",
        "master",
        "refuser",
        "master",
        "gossipd",
    ]
