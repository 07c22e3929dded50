"""A daemon that is killed is restarted: which connections are lost by that, which are not, and when it is too much."""

import asyncio
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.connectd.webs import web_peer
from tests.harness import processes
from tests.harness.bus_client import BusService
from tests.harness.moves import is_gone, opening, owner, ping
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.puppeteer import Puppeteer
from tests.harness.waiting import until

PRIVKEY = bytes([79]) * 32


async def kill(node: Node, daemon: str) -> None:
    """Kill it, and wait until another one has taken its place."""
    start = len(node.lines)
    os.kill(node.pids()[daemon], signal.SIGKILL)
    await node.logged(rf"UNUSUAL lightningd: {daemon} has died \(killed by SIGKILL\): it is restarted", start)
    await node.logged(f"lightningd: {daemon} was restarted", start)


async def asked_as_it_dies(node: Node, daemon: str, method: str, **params: object) -> str:
    """What a request is refused with that the master finds together with the death: no other daemon is there yet."""
    pid = node.pids()[daemon]
    node.send_signal(signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)

    async def is_dead() -> bool:
        return "State:\tZ" in processes.status(pid)

    await until(is_dead, f"{daemon} does not die")
    reader, writer = await asyncio.open_unix_connection(node.rpc_file)
    writer.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode())
    node.send_signal(signal.SIGCONT)
    answer = json.loads(await reader.readuntil(b"\n\n"))
    writer.close()
    await writer.wait_closed()
    return str(answer["error"]["message"])


@pytest.mark.long
@pytest.mark.parametrize("daemon", ["connectd", "gossipd"])
async def test_a_daemon_that_hangs_is_replaced(nodes: Nodes, daemon: str) -> None:
    """Stopped, it is silent, and nothing else tells of that. The limit is 10 s with --dev-fast-gossip."""
    node = nodes.start()
    before, start = node.pids(), len(node.lines)
    os.kill(before[daemon], signal.SIGSTOP)
    await node.logged(f"UNUSUAL lightningd: {daemon} has not answered for 10 s: it is killed", start)
    await node.logged(f"lightningd: {daemon} was restarted", start)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
    after = node.pids()
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {daemon}
    await node.be_alone()


# gossipd


@pytest.mark.long
async def test_gossipd_dies_and_its_peers_come_back(nodes: Nodes) -> None:
    """The one that we have dialled is dialled again; one without an address comes back by itself."""
    l1, l2 = nodes.begin(), nodes.begin()
    l1.ready()
    await l2.ready().rpc("connect", id=l1.target)
    before = (await l2.peer(l1.node_id))["conn_id"]
    async with await ScriptedPeer.connect(l2.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        await kill(l2, "gossipd")
        await peer.hangs_up()

    async def is_back() -> bool:
        peers = await l2.peers()
        return l1.node_id in peers and peers[l1.node_id]["conn_id"] > before

    await until(is_back, "the lost peer is not dialled again")
    async with await ScriptedPeer.connect(l2.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        assert await owner(l2, peer) == "gossipd"
        assert await ping(l2, peer) == 132
    await l2.be_alone()


async def test_gossipd_dies_while_a_program_has_a_peer(nodes: Nodes, puppets: Puppeteer) -> None:
    """The program goes on; what it gives back goes to the new gossipd."""
    node = nodes.start(Puppeteer.service("puppet", puppets.path), "--take=puppet=open_channel")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(opening())
        puppet = await puppets.next()
        await kill(node, "gossipd")
        assert await owner(node, peer) == "puppet"
        await puppet("say", message="8001aa")
        assert (await peer.hear(0x8001)).encode().hex() == "8001aa"
        await puppet("give_back")
        await peer.sync()
        assert await owner(node, peer) == "gossipd"
        await peer.say(opening())
        again = await puppets.next()
        await again("give_back")
        await peer.sync()
    await node.be_alone()


async def test_gossipd_dies_while_a_bus_service_has_a_peer(nodes: Nodes) -> None:
    node = nodes.start()
    async with BusService("channels", node.directory) as service:
        await service.join()
        async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
            await peer.sync()
            await service.ask("register", node_ids=[peer.node_id])
            await service.msg.hear("take_peer")
            await kill(node, "gossipd")
            await peer.sync()
            assert await owner(node, peer) == "channels"
            async with await ScriptedPeer.connect(node.target) as other:
                await other.sync()
                assert await owner(node, other) == "gossipd"


async def test_a_question_to_gossipd_fails_with_a_sentence(nodes: Nodes) -> None:
    node = nodes.start()
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        peer.auto_pong = False
        asking = asyncio.create_task(node.rpc("ping", id=peer.node_id.hex(), len=7))
        await peer.hear(18)
        start = len(node.lines)
        refused = await asked_as_it_dies(node, "gossipd", "gossipstatus")
        assert refused == "gossipd has died and is being restarted: try again in a moment"
        with pytest.raises(RpcError, match="Peer not connected"):
            await asking
        await node.logged("gossipd was restarted", start)
        assert (await node.rpc("gossipstatus"))["channels"] == 0


# connectd


async def test_connectd_dies_and_no_peer_notices(nodes: Nodes) -> None:
    """connectd listens at the same port again, and knows who is connected: a second connection replaces the first."""
    node = nodes.start()
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as older:
        await older.sync()
        before = (await node.peer(older.node_id))["conn_id"]
        await kill(node, "connectd")
        await older.sync()
        assert (await node.peer(older.node_id))["conn_id"] == before
        found = await node.rpc("connect", id=older.node_id.hex())
        assert (found["id"], found["direction"]) == (older.node_id.hex(), "in")
        async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as newer:
            await older.hangs_up()
            await newer.sync()
            assert (await node.peer(newer.node_id))["conn_id"] > before
            assert await owner(node, newer) == "gossipd"
        async with await ScriptedPeer.connect(node.target) as stranger:
            await stranger.sync()
    await node.be_alone()


async def test_connectd_listens_where_it_did(nodes: Nodes, tmp_path: Path) -> None:
    """Also on a Unix socket, and for WebSockets, whose process lives on."""
    path = tmp_path / "peers"
    node = nodes.start(f"--bind-addr={path}", "--bind-addr=ws:127.0.0.1:0")
    before, websocketd = (await node.rpc("getinfo"))["binding"], node.pids()["websocketd"]
    assert len(before) == 3
    await kill(node, "connectd")
    assert ((await node.rpc("getinfo"))["binding"], node.pids()["websocketd"]) == (before, websocketd)
    connectiond: Any = SimpleNamespace(bindings=node.bindings, node_id=bytes.fromhex(node.node_id))
    async with (
        await ScriptedPeer.connect(f"{node.node_id}@{path}") as peer,
        await ScriptedPeer.connect(node.target) as other,
        web_peer(connectiond) as third,
    ):
        for each in (peer, other, third):
            await each.sync()


async def test_connecting_while_connectd_is_away_fails_with_a_sentence(nodes: Nodes) -> None:
    l1, l2 = nodes.begin(), nodes.begin()
    l1.ready()
    l2.ready()
    refused = await asked_as_it_dies(l1, "connectd", "connect", id=l2.target)
    assert refused == "connectd has died and is being restarted: try again in a moment"
    await l1.logged("connectd was restarted")
    await l1.rpc("connect", id=l2.target)


async def test_rules_are_in_force_again(nodes: Nodes) -> None:
    node = nodes.start()
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        await node.rpc("ban", who=peer.node_id.hex())
        await peer.hangs_up()
    await kill(node, "connectd")
    with pytest.raises(PeerClosed):
        await ScriptedPeer.connect(node.target, privkey=PRIVKEY)


async def test_both_die(nodes: Nodes) -> None:
    """The link between the new ones is there, whichever of them comes first."""
    node = nodes.start()
    pids, start = node.pids(), len(node.lines)
    for daemon in ("connectd", "gossipd"):
        os.kill(pids[daemon], signal.SIGKILL)
    for daemon in ("connectd", "gossipd"):
        await node.logged(f"lightningd: {daemon} was restarted", start)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        assert await owner(node, peer) == "gossipd"
    await node.be_alone()


# websocketd


async def test_websocketd_dies_and_its_door_opens_again(nodes: Nodes) -> None:
    """Its connections have ended; others have not, and a WebSocket that comes meanwhile waits."""
    node = nodes.start("--bind-addr=ws:127.0.0.1:0")
    at: Any = SimpleNamespace(bindings=node.bindings, node_id=bytes.fromhex(node.node_id))
    async with await ScriptedPeer.connect(node.target) as other:
        await other.sync()
        async with web_peer(at) as peer:
            await peer.sync()
            await kill(node, "websocketd")
            await peer.hangs_up()
        await other.sync()
        async with web_peer(at) as peer:
            await peer.sync()
            assert await owner(node, peer) == "gossipd"
        await kill(node, "connectd")
        async with web_peer(at) as peer:
            await peer.sync()


async def test_websocketd_and_connectd_die_together(nodes: Nodes) -> None:
    node = nodes.start("--bind-addr=ws:127.0.0.1:0")
    at: Any = SimpleNamespace(bindings=node.bindings, node_id=bytes.fromhex(node.node_id))
    pids, start = node.pids(), len(node.lines)
    for daemon in ("websocketd", "connectd"):
        os.kill(pids[daemon], signal.SIGKILL)
    for daemon in ("websocketd", "connectd"):
        await node.logged(f"lightningd: {daemon} was restarted", start)
    async with web_peer(at) as peer:
        await peer.sync()


# connectiond


async def test_connectiond_dies_and_its_services_join_again(nodes: Nodes) -> None:
    node = nodes.start()
    async with BusService("channels", node.directory) as service:
        await service.join()
        async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
            await peer.sync()
            await service.ask("register", node_ids=[peer.node_id])
            await service.msg.hear("take_peer")
            await kill(node, "connectiond")
            await peer.hangs_up()
        assert await is_gone(node, peer)
        assert (await service.ctl.hear("error"))["error"] == "connectiond has died: say hello on MSG again"
        await service.msg.say("hello", service="channels", ticket=service.ticket, credit=service.credit)
        await service.msg.hear("welcome")
        async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
            await service.msg.hear("take_peer")
            assert await owner(node, peer) == "channels"


# The end


@pytest.mark.parametrize("daemon", ["gossipd", "connectd"])
async def test_too_many_deaths_end_the_node(nodes: Nodes, daemon: str) -> None:
    node = nodes.start()
    for _ in range(4):
        await kill(node, daemon)
    os.kill(node.pids()[daemon], signal.SIGKILL)
    assert await asyncio.to_thread(node.wait) == 1
    reason = f"{daemon} has died (killed by SIGKILL), which makes 5 deaths within a minute: the node ends"
    assert [line.partition(" lightningd: ")[2] for line in node.broken()] == [reason]
    assert node.lines[-1] == node.broken()[0]
    assert node.left_behind() == []
    nodes.expect_end(node)


async def test_hsmds_death_ends_the_node_and_the_log_says_so_last(nodes: Nodes) -> None:
    node = nodes.start()
    os.kill(node.pids()["hsmd"], signal.SIGKILL)
    assert await asyncio.to_thread(node.wait) == 1
    assert node.lines[-1].endswith(" BROKEN  lightningd: hsmd has died (killed by SIGKILL): the node ends")
    assert node.broken() == node.lines[-1:]
    assert node.left_behind() == []
    nodes.expect_end(node)


@pytest.mark.parametrize("daemon", ["gossipd", "connectd"])
async def test_stop_while_a_daemon_is_restarted(nodes: Nodes, daemon: str) -> None:
    """Exit status 0, as `nodes` checks, and nothing left."""
    node = nodes.start()
    os.kill(node.pids()[daemon], signal.SIGKILL)
    await node.logged("it is restarted")
    node.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(node.wait) == 0
