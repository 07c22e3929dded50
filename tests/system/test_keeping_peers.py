"""Whole nodes keep their peers: those that are to stay, over ends and restarts, and as many others as are wanted."""

import asyncio

import pytest

from lightningd_py.tools.scripted_peer import ScriptedListener, ScriptedPeer
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until
from wire.address import WireAddr
from wire.features import default_init_features
from wire.peer_wire import Init
from wire.secp256k1 import public_key
from wire.types import NETWORKS

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY).hex()
NOWHERE = "127.0.0.1:1"


async def connected(node: Node, node_id: str = PEER_ID) -> bool:
    return bool((await node.peers()).get(node_id, {}).get("connected"))


@pytest.mark.long
async def test_a_kept_peer_is_dialled_again(nodes: Nodes) -> None:
    node = nodes.start(name="l1")
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        assert await node.rpc("keepconnected", id=listener.target) == {"id": PEER_ID, "keepconnected": True}
        for _ in range(2):
            async with await listener.accept() as peer:
                await peer.sync()
                entry = await node.peer(PEER_ID)
                assert (entry["connected"], entry["keepconnected"], entry["direction"]) == (True, True, "out")
        node.stop()
        node = nodes.start(name="l1")
        async with await listener.accept() as peer:
            await peer.sync()
            await node.rpc("keepconnected", id=PEER_ID, keep=False)
        await until(lambda: gone(node), "a peer that is not to stay is still listed")
    node.stop()
    node = nodes.start(name="l1")
    assert (await node.rpc("listpeers"))["peers"] == []


async def gone(node: Node) -> bool:
    return await node.peers() == {}


async def test_it_is_found_where_it_has_moved_to(nodes: Nodes) -> None:
    """Not reached there any more, it becomes known at another address; each try goes to all that are known."""
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        node = nodes.start(f"--keepconnected={PEER_ID}@{NOWHERE}")
        await node.logged("cannot be reached, and is tried again: All addresses failed")
        entry = await node.peer(PEER_ID)
        assert (entry["connected"], entry["netaddr"]) == (False, [NOWHERE])
        assert entry["tries"] >= 1
        await node.rpc("keepconnected", id=listener.target)
        async with await listener.accept() as peer:
            await peer.sync()
        await node.rpc("keepconnected", id=PEER_ID, keep=False)
        await node.be_alone()
    assert sum("is tried again" in line for line in node.lines) == 1, "told once, not with each try"


async def test_nobody_is_dialled_without_being_told_to(nodes: Nodes) -> None:
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        node = nodes.start("--dev-no-reconnect", f"--keepconnected={listener.target}")
        await node.rpc("keepconnected", id=listener.target)
        with pytest.raises(TimeoutError):
            await listener.accept_silent(timeout=0.5)
        assert (await node.peer(PEER_ID))["connected"] is False


async def test_strangers_of_the_map_become_peers(nodes: Nodes) -> None:
    """A peer of before is as good as one of the map, which here knows no node that listens."""
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        node = nodes.start(name="l1")
        async with asyncio.TaskGroup() as group:
            accepting = group.create_task(listener.accept())
            group.create_task(node.rpc("connect", id=listener.target))
        async with accepting.result():
            pass
        node.stop()
        node = nodes.start("--autoconnect-seeker-peers=1", name="l1")
        async with await listener.accept() as peer:
            await peer.sync()
            assert (await node.peer(PEER_ID))["keepconnected"] is False
        node.stop()


async def test_peers_tell_us_our_address(nodes: Nodes) -> None:
    node = nodes.start("--announce-addr-discovered-port=1234")
    listeners = [await ScriptedPeer.listen(privkey=bytes([key]) * 32) for key in (2, 3, 4)]
    peers = [await told(node, listener) for listener in listeners]
    await node.logged(r"peers see us at 8\.8\.4\.4:1234")
    assert (await node.rpc("getinfo"))["address"] == [{"type": "ipv4", "address": "8.8.4.4", "port": 1234}]
    for peer in peers:
        await peer.close()
    for listener in listeners:
        await listener.close()
    await node.be_alone()


async def told(node: Node, listener: ScriptedListener) -> ScriptedPeer:
    """A peer that we dial, and that says where we come from."""
    seen = WireAddr("ipv4", "8.8.4.4", 4711)
    init = Init(b"", default_init_features().to_bytes(), [NETWORKS["regtest"]], remote_addr=seen)
    async with asyncio.TaskGroup() as group:
        group.create_task(node.rpc("connect", id=listener.target))
        peer = await listener.accept_silent()
        await peer.shake_hands()
        await peer.say(init)
    return peer
