"""Bans and rules on a whole node: by RPC and options, for who comes, who is there and who is dialled."""

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness.node import Nodes, RpcError
from wire.secp256k1 import public_key

PRIVKEY = bytes([2]) * 32
PEER_ID = public_key(PRIVKEY).hex()


async def test_a_ban_ends_a_connection_and_outlives_a_restart(nodes: Nodes) -> None:
    node = nodes.start(name="l1")
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        ban = await node.rpc("ban", who=PEER_ID, reason="noise")
        assert (ban["who"], ban["reason"], "expires" in ban) == (PEER_ID, "noise", False)
        await peer.hangs_up()
    node.stop()
    node = nodes.start(name="l1")
    assert [ban["who"] for ban in (await node.rpc("listbans"))["bans"]] == [PEER_ID]
    with pytest.raises(PeerClosed):
        await ScriptedPeer.connect(node.target, privkey=PRIVKEY)
    assert await node.rpc("unban", who=PEER_ID) == {}
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        with pytest.raises(RpcError, match="is not banned"):
            await node.rpc("unban", who=PEER_ID)
    await node.has_no_more_sockets()


async def test_a_banned_network_is_not_dialled_and_connections_from_it_end(nodes: Nodes) -> None:
    node = nodes.start()
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
        ban = await node.rpc("ban", who="127.0.0.0/8", seconds=1_000)
        assert ban["expires"] - ban["created"] == 1_000
        await peer.hangs_up()
    async with await ScriptedPeer.listen(privkey=PRIVKEY) as listener:
        with pytest.raises(RpcError, match=r"refused: 127.0.0.0/8, banned") as refused:
            await node.rpc("connect", id=listener.target)
        assert refused.value.code == 401
    await node.rpc("unban", who="127.0.0.1/8")
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
    await node.be_alone()


@pytest.mark.parametrize("who", ["nobody!", "1.2.3.4/64", "02" + "ff" * 32, "with:magic"])
async def test_what_cannot_be_banned(nodes: Nodes, who: str) -> None:
    node = nodes.start()
    with pytest.raises(RpcError, match=r"who: (is no|names no)") as refused:
        await node.rpc("ban", who=who)
    assert refused.value.code == -32602


async def test_an_allow_list(nodes: Nodes) -> None:
    node = nodes.start("--deny=all", f"--allow={PEER_ID}")
    async with await ScriptedPeer.connect(node.target, privkey=PRIVKEY) as peer:
        await peer.sync()
    with pytest.raises(PeerClosed):
        await ScriptedPeer.connect(node.target)
    await node.be_alone()
