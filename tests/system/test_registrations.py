"""What bus services have registered, by whole nodes: away and back, over a restart; nodes that wait for a service."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedListener, ScriptedPeer
from tests.harness.bus_client import BusService
from tests.harness.moves import CHAIN
from tests.harness.node import Node, Nodes, RpcError
from wire.peer_wire import ChannelUpdate
from wire.secp256k1 import double_sha256, public_key, sign

PRIVKEY = bytes([9]) * 32
PEER_ID = public_key(PRIVKEY)
CHANNEL = bytes([1]) * 32
REESTABLISH = b"\x00\x88" + CHANNEL + bytes(60)
CHANNELS = [{"channel_id": CHANNEL, "node_id": PEER_ID, "short_channel_id": 1 << 40}]


async def listed(node: Node, service: str) -> dict[str, Any]:
    services = (await node.rpc("listservices"))["services"]
    return next(entry for entry in services if entry["service"] == service)


async def closed_without_a_word(node: Node) -> None:
    """The peer comes, says what is about a channel, and hears the connection's end and nothing else."""
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        assert (await node.peer(PEER_ID))["owner"] == "gossipd"
        peer.heard.clear()
        await peer.say(REESTABLISH)
        heard = await peer.hangs_up()
    assert [message.number for message in heard if message.number in (1, 17)] == []
    await node.logged("disconnected: service channels is away")


async def speaks_first(service: BusService, listener: ScriptedListener) -> None:
    """The node dials the peer, and the service has the connection from its first moment."""
    async with await listener.accept() as peer:
        taken = await service.msg.hear("take_peer", node_id=PEER_ID)
        await service.say(taken["conn_id"], REESTABLISH)
        assert (await peer.hear(136)).encode() == REESTABLISH
        await peer.say(REESTABLISH)
        assert await service.hear_peer(taken["conn_id"]) == REESTABLISH


@pytest.mark.long
async def test_a_service_away_and_back_over_a_restart(nodes: Nodes) -> None:
    node = nodes.start(name="l1")
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        async with BusService("channels", node.directory) as service:
            await service.join()
            await service.ask("register", channels=CHANNELS, take=[32])
            connecting = asyncio.create_task(node.rpc("connect", id=listener.target))
            async with await listener.accept() as peer:
                await connecting
                taken = await service.msg.hear("take_peer", node_id=PEER_ID)
                service.close()
                assert [message.number for message in await peer.hangs_up() if message.number in (1, 17)] == []
            assert taken["incoming"] is False
        await node.logged("lightningd: service channels has left")
        await closed_without_a_word(node)
        node.stop()
        node = nodes.start(name="l1")
        entry = await listed(node, "channels")
        assert (entry["here"], entry["take"]) == (False, [])
        assert entry["channels"] == [
            {"channel_id": CHANNEL.hex(), "id": PEER_ID.hex(), "short_channel_id": "1x0x0"},
        ]
        await closed_without_a_word(node)
        async with BusService("channels", node.directory) as service:
            welcome = await service.join()
            assert welcome["channels"] == CHANNELS
            await speaks_first(service, listener)


async def test_a_service_that_comes_back_gets_the_peers_that_are_connected(nodes: Nodes) -> None:
    node = nodes.start()
    async with BusService("channels", node.directory) as service:
        await service.join()
        await service.ask("register", node_ids=[PEER_ID])
    await node.logged("lightningd: service channels has left")
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        assert (await node.peer(PEER_ID))["owner"] == "gossipd"
        async with BusService("channels", node.directory) as service:
            await service.join()
            taken = await service.msg.hear("take_peer", node_id=PEER_ID)
            await service.say(taken["conn_id"], REESTABLISH)
            assert (await peer.hear(136)).encode() == REESTABLISH
            assert (await node.peer(PEER_ID))["owner"] == "channels"
            with pytest.raises(RpcError, match="owned by service channels: use force"):
                await node.rpc("disconnect", id=PEER_ID.hex())
            await service.msg.say("give_back", conn_id=taken["conn_id"])
            await service.msg.hear("peer_given_back")
            await peer.sync()


async def test_nobody_is_connected_before_the_service_is_there(nodes: Nodes) -> None:
    """The RPC and the buses answer, and say who is waited for."""
    node = nodes.begin("--require-service=lsp", name="l1")
    await node.logged("waits for service lsp before it connects to any node")
    assert (await node.rpc("listservices")) == {"services": [], "waits_for": ["lsp"]}
    with pytest.raises(RpcError, match="waits for service lsp"):
        await node.rpc("connect", id=f"{PEER_ID.hex()}@127.0.0.1:1")
    async with BusService("lsp", node.directory) as service:
        await service.join()
        assert not any("listens on" in line for line in node.lines)
        await service.ask("register", take=[32])
        node.ready()
        assert "waits_for" not in await node.rpc("listservices")
        async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
            await peer.sync()


def channel_update(scid: int, direction: int) -> bytes:
    """Signed by the peer."""
    said = ChannelUpdate(bytes(64), CHAIN, scid, int(time.time()), 1, direction, 40, 1, 1000, 1, 10**9)
    return replace(said, signature=sign(PRIVKEY, double_sha256(said.encode()[66:]))).encode()


async def test_an_update_for_us_alone(nodes: Nodes) -> None:
    """Of a channel that nobody else knows of, which the service has named by an alias."""
    node = nodes.start("--dev-fast-gossip")
    alias = 1 << 40
    async with (
        BusService("channels", node.directory) as service,
        await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer,
    ):
        await service.hello()
        await service.ask("register", channels=CHANNELS)
        await node.rpc("gossipstatus")  # gossipd has heard of the channel before it answers that
        direction = int(bytes.fromhex(node.node_id) < PEER_ID)
        update = channel_update(alias, direction)
        await peer.say(update)
        told = await service.ctl.hear("remote_channel_update")
    assert (told["node_id"], told["short_channel_id"], told["channel_update"]) == (PEER_ID, alias, update)


# connectiond


async def test_msg_where_it_was_asked_for_or_not_at_all(nodes: Nodes) -> None:
    node = nodes.begin("--msg=ipc:///no/such/directory/msg")
    assert await asyncio.to_thread(node.wait) == 1
    assert "--msg: " in node.lines[-1]
    nodes.expect_end(node)


async def test_msg_cannot_be_had_where_it_is_by_default(nodes: Nodes) -> None:
    """Services are here without it; everything else goes on."""
    (nodes.directory("l1") / "regtest" / "msg").mkdir()
    node = nodes.start(name="l1")
    async with BusService("channels", node.directory) as service:
        await service.hello()
        await node.logged("there is no bus msg")
        await service.ask("register", node_ids=[PEER_ID], copy=[513])
        async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
            await peer.sync()
            assert (await node.peer(PEER_ID))["owner"] == "gossipd"
