"""Services that misbehave: they are not ours, so nothing here is our being broken, and it costs one connection."""

import contextlib
import os
import signal

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.moves import (
    is_gone,
    opening,
    owner,
)
from tests.harness.node import Node
from tests.harness.puppeteer import Puppeteer
from tests.harness.waiting import until
from wire.frames import FrameError
from wire.peer_wire import Ping


@pytest.mark.parametrize("datagram", ["", "c1", "9001", "93cd07d2c0c0", "95cd0bc5c400c40000c0"])
async def test_program_that_talks_rubbish(node: Node, peer: ScriptedPeer, puppets: Puppeteer, datagram: str) -> None:
    """Rubbish, and messages that it may not say: it loses the connection."""
    await peer.say(opening())
    puppet = await puppets.next()
    await puppet.tell("talk_rubbish", datagram=datagram)
    await peer.hangs_up()
    await puppet.ended()
    await until(lambda: is_gone(node, peer), "it is still listed")
    assert node.broken() == []


async def test_program_that_does_not_let_go(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    """The program is told to end the connection, does nothing, and is killed after five seconds."""
    await peer.say(opening())
    puppet = await puppets.next()
    start = len(node.lines)
    assert await node.rpc("disconnect", id=peer.node_id.hex(), force=True) == {}
    await peer.hangs_up()
    await puppet.ended()
    await node.logged("does not let go: killed", start)


async def test_program_that_hangs(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    """A program leaves fd 3 unread: nothing is asked of it, and yet it is noticed."""
    await peer.say(opening())
    puppet = await puppets.next()
    start = len(node.lines)
    await puppet("hang")
    await node.logged("has not answered for 10 s: killed", start)
    await peer.hangs_up()
    await puppet.ended()


@pytest.mark.parametrize("own_group", [False, True])
async def test_child_of_a_program_does_not_keep_the_connection(
    node: Node, peer: ScriptedPeer, puppets: Puppeteer, own_group: bool
) -> None:
    """A fork has the peer fd. One that has left the process group lives on, with a socket that has been shut down."""
    await peer.say(opening())
    puppet = await puppets.next()
    child = await puppet("fork", own_group=own_group)
    await puppet.tell("exit")
    await peer.hangs_up()
    await until(lambda: is_gone(node, peer), "it is still listed")
    if own_group:
        os.kill(child, signal.SIGKILL)
    await puppet.ended()


async def test_program_that_speaks_of_another_connection(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    await peer.say(opening())
    async with await ScriptedPeer.connect(node.target) as other:
        await other.sync()
        puppet = await puppets.next()
        await puppet.tell("disconnected", reason="not mine", conn_id=(await node.peer(other.node_id))["conn_id"])
        await puppet.ended()
        await peer.hangs_up()
        await other.sync()
        assert await owner(node, other) == "gossipd"
        await until(lambda: is_gone(node, peer), "it is still listed")


@pytest.mark.parametrize(
    "how",
    [
        {"crypto": "00" * 31},
        {"crypto": "11" * 32},
        {"unread": "00" * 100},
        {"unread": "00" * 200_000},
        {"send": ("00" * 65536,)},
        {"send": ("",)},
        {"gossip": "none"},
        {"gossip": "/dev/null"},
    ],
    ids=[
        "short keys",
        "other keys",
        "wrong bytes",
        "too many bytes",
        "too long a message",
        "no message",
        "no gossip fd",
        "no socket",
    ],
)
async def test_connection_that_comes_back_spoilt(
    node: Node, peer: ScriptedPeer, puppets: Puppeteer, how: dict[str, object]
) -> None:
    """At worst this connection is lost; both nodes go on."""
    await peer.say(opening())
    puppet = await puppets.next()
    await puppet.tell("give_back", **how)
    await puppet.ended()
    if how == {"gossip": "none"}:
        await peer.sync()
    else:
        await peer.say(Ping(num_pong_bytes=1, ignored=b""))
        with contextlib.suppress(FrameError):  # with other keys what gossipd says first is no frame
            await peer.hangs_up()
    async with await ScriptedPeer.connect(node.target) as other:
        await other.sync()
    assert node.broken() == []


async def test_rubbish_through_the_gossip_fd(node: Node, peer: ScriptedPeer, puppets: Puppeteer) -> None:
    """A query that earns the connection's end: the program is told to end it."""
    await peer.say(opening())
    puppet = await puppets.next()
    await puppet("gossip_say", packet="0000")
    await puppet("gossip_say", packet="0107" + "00" * 30)
    order = await puppet("obey")
    assert (order["name"], order["conn_id"]) == ("disconnect", puppet.about["conn_id"])
    await puppet("disconnected", reason=order["reason"])
    await peer.hangs_up()
