"""`restart websocketd`, `all` and `master` with peers that come by WebSocket: not one of them notices."""

import asyncio
import contextlib
import os
import random
import signal
from contextlib import AsyncExitStack

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness import processes
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.restarts import another
from tests.harness.waiting import until
from tests.harness.web_peer import Web, peer_by

PEERS = int(os.environ.get("RESTART_PEERS", "10"))
ROUNDS = int(os.environ.get("RESTART_ROUNDS", "3"))
LOST = (ConnectionError, PeerClosed)
WAYS = ["websocketd", "websocketd", "master", "all"]


async def conn_ids(node: Node) -> dict[str, int]:
    return {peer["id"]: peer["conn_id"] for peer in (await node.rpc("listpeers"))["peers"]}


@pytest.fixture
def node(nodes: Nodes) -> Node:
    return nodes.start("--bind-addr=ws:127.0.0.1:0")


@pytest.mark.long
async def test_peers_that_ping_all_the_while(node: Node) -> None:
    """Through each restart that touches websocketd, and those of what stands around it."""
    async with AsyncExitStack() as stack:
        peers = []
        for _ in range(PEERS):
            web = await Web.dial(node)
            await web.ask()
            peers.append(await stack.enter_async_context(peer_by(web, node)))
        before, enough = await conn_ids(node), asyncio.Event()
        pongs = dict.fromkeys(peers, 0)

        async def ping(peer: ScriptedPeer) -> None:
            while not enough.is_set():
                await peer.sync()
                pongs[peer] += 1

        pinging = [asyncio.create_task(ping(peer)) for peer in peers]
        for what in WAYS:
            mark = dict(pongs)
            done = await node.rpc("restart", what=what)
            assert done["lost"] == 0
            if what == "websocketd":
                assert done["moved"] == PEERS

            async def all_ping_on(mark: dict[ScriptedPeer, int] = mark) -> bool:
                return all(pongs[peer] > mark[peer] for peer in peers)

            await until(all_ping_on, f"a peer gets no pong after a restart of {what}")
        assert {"restarted": "websocketd", "moved": PEERS}.items() <= done["processes"][-3].items()
        enough.set()
        await asyncio.gather(*pinging)
        assert await conn_ids(node) == before
    await node.be_alone()


async def test_half_a_frame_and_half_a_request(node: Node) -> None:
    """What one process has begun to read the next one reads to its end."""
    web, stranger = await Web.dial(node), await Web.dial(node)
    await web.ask()
    stranger.gate.clear()
    asking = asyncio.create_task(stranger.ask())
    async with peer_by(web, node) as peer:
        web.gate.clear()
        pinging = asyncio.create_task(peer.sync())

        async def both_stand() -> bool:
            return web.halves == stranger.halves == 1

        await until(both_stand, "nothing is said")
        assert (await node.rpc("restart", what="websocketd"))["moved"] == 2
        assert not pinging.done() and not asking.done()
        web.gate.set()
        stranger.gate.set()
        await pinging
        await asking
        async with peer_by(stranger, node) as other:
            await other.sync()
    await node.be_alone()


@pytest.mark.long
async def test_ten_in_a_row(node: Node) -> None:
    """Nothing is left behind, in the new one or in the master."""
    processes.look_into(node.process.pid)
    web = await Web.dial(node)
    await web.ask()
    async with peer_by(web, node) as peer:
        figures = []

        def counted() -> list[int]:
            return [processes.fd_count(pid) for pid in (node.process.pid, node.pids()["websocketd"])]

        for _ in range(10):
            old = node.pids()["websocketd"]
            assert (await node.rpc("restart", what="websocketd"))["moved"] == 1

            async def gone(old: int = old) -> bool:
                return old not in node.pids_of("websocketd") and len(node.pids_of("websocketd")) == 1

            await until(gone, "the old one does not end")
            await peer.sync()
            figures.append(counted())

        async def as_at_first() -> bool:
            return all(now <= then for now, then in zip(counted(), figures[0], strict=True))

        await until(as_at_first, "there are more fds than after the first")
    await node.be_alone()


@pytest.mark.long
@pytest.mark.parametrize("victim", ["old", "new"])
async def test_killed_in_the_middle(nodes: Nodes, victim: str) -> None:
    """If the new one dies too early the old one goes on; else the WebSockets end, and others come in."""
    chance = random.Random(ROUNDS)
    for _ in range(ROUNDS):
        node = nodes.start("--bind-addr=ws:127.0.0.1:0")
        web = await Web.dial(node)
        await web.ask()
        with contextlib.suppress(*LOST):
            async with peer_by(web, node) as peer:
                old = node.pids()["websocketd"]
                restarting = asyncio.create_task(node.rpc("restart", what="websocketd"))
                new = await another(node, "websocketd", old)
                await asyncio.sleep(0.5 * chance.random())  # the moment is what is tried out
                with contextlib.suppress(ProcessLookupError):
                    os.kill(old if victim == "old" else new, signal.SIGKILL)
                answer = (await asyncio.gather(restarting, return_exceptions=True))[0]
                assert isinstance(answer, dict | RpcError), answer
                try:
                    await peer.sync()
                except LOST:
                    assert victim == "old" or isinstance(answer, dict), "the old one had it still"
        later = await until_it_lets_in(node)
        async with peer_by(later, node) as peer:
            await peer.sync()


async def until_it_lets_in(node: Node) -> Web:
    """A client whose upgrade is done, as soon as websocketd is there."""
    found: list[Web] = []

    async def lets_in() -> bool:
        web = await Web.dial(node)
        try:
            await web.ask()
        except (ConnectionError, asyncio.IncompleteReadError):
            return False
        found.append(web)
        return True

    await until(lets_in, "websocketd lets no client in")
    return found[0]
