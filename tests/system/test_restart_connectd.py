"""`restart connectd`, and what becomes of strangers at the door when connectd dies: none is turned away."""

import asyncio
import contextlib
import os
import random
import signal

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness import processes
from tests.harness.crowd import OPTIONS
from tests.harness.moves import opening
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.puppeteer import Puppeteer
from tests.harness.restarts import another
from tests.harness.waiting import until

AT_THE_DOOR = 200
ROUNDS = int(os.environ.get("RESTART_ROUNDS", "3"))


async def gone(node: Node, pid: int) -> None:
    """Wait until the old one has ended."""

    async def ended() -> bool:
        return node.pids_of("connectd") != [] and pid not in node.pids_of("connectd")

    await until(ended, "the old connectd does not end")


async def served(peer: ScriptedPeer) -> None:
    """From act one to a pong."""
    await peer.shake_hands()
    await peer.exchange_init()
    await peer.sync()


async def test_what_has_begun_ends_well(nodes: Nodes, puppets: Puppeteer) -> None:
    """Peers of all owners stay; a stranger in the midst of act one, a dial that waits for act two, and a node that has
    connected twice all get through; the old process ends then.
    """
    node = nodes.start(Puppeteer.service("puppet", puppets.path), "--take=puppet=open_channel")
    async with (
        await ScriptedPeer.connect(node.target) as peer,
        await ScriptedPeer.connect(node.target) as programs,
        await ScriptedPeer.listen() as slow,
    ):
        await programs.say(opening())
        puppet = await puppets.next()
        conn_ids = {peer["id"]: peer["conn_id"] for peer in (await node.rpc("listpeers"))["peers"]}
        strangers = [await ScriptedPeer.dial(node.target) for _ in range(10)]
        dialling = asyncio.create_task(node.rpc("connect", id=slow.target))
        silent = await slow.accept_silent()
        old = node.pids()["connectd"]
        done = await node.rpc("restart", what="connectd")
        assert (done["restarted"], done["lost"]) == ("connectd", 0)
        assert {peer["id"]: peer["conn_id"] for peer in (await node.rpc("listpeers"))["peers"]} == conn_ids
        assert old in node.pids_of("connectd"), "it has handshakes to finish"
        again = await ScriptedPeer.connect(node.target, privkey=peer.privkey)
        await again.sync()
        await peer.hangs_up()
        for stranger in strangers:
            await served(stranger)
        await served(silent)
        assert (await dialling)["id"] == silent.node_id.hex()
        await gone(node, old)
        await puppet("give_back")
        await programs.sync()
        for each in (*strangers, silent, again):
            await each.sync()
            await each.close()
    await node.be_alone()


async def test_those_who_wait_at_the_door_when_connectd_dies(nodes: Nodes) -> None:
    """The listening socket outlives it."""
    node = nodes.start(*OPTIONS)
    pid = node.pids()["connectd"]
    os.kill(pid, signal.SIGSTOP)
    waiting = [await ScriptedPeer.dial(node.target) for _ in range(AT_THE_DOOR)]
    greeting = [asyncio.create_task(served(peer)) for peer in waiting]
    os.kill(pid, signal.SIGKILL)
    await asyncio.gather(*greeting)
    for peer in waiting:
        await peer.close()
    await node.be_alone()


@pytest.mark.long
async def test_those_who_come_all_the_while(nodes: Nodes) -> None:
    node = nodes.start("--dev-no-reconnect")
    came = 0
    stop = asyncio.Event()

    async def come() -> None:
        nonlocal came
        while not stop.is_set():
            async with await ScriptedPeer.connect(node.target) as peer:
                await peer.sync()
            came += 1

    coming = [asyncio.create_task(come()) for _ in range(5)]
    for _ in range(3):
        assert (await node.rpc("restart", what="connectd"))["lost"] == 0
    stop.set()
    await asyncio.gather(*coming)
    assert came > 0
    await node.be_alone()


@pytest.mark.long
async def test_twenty_in_a_row(nodes: Nodes) -> None:
    """Nothing is left behind."""
    node = nodes.start()
    processes.look_into(node.process.pid)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        before, pids = processes.fd_count(node.process.pid), node.pids()
        for _ in range(20):
            old = node.pids()["connectd"]
            assert (await node.rpc("restart", what="connectd"))["lost"] == 0
            await gone(node, old)
        await peer.sync()

        async def as_before() -> bool:
            return processes.fd_count(node.process.pid) == before and node.pids().keys() == pids.keys()

        await until(as_before, "the master has more fds than before, or more children")
    await node.be_alone()


@pytest.mark.long
@pytest.mark.parametrize("victim", ["old", "new"])
async def test_killed_in_the_middle(nodes: Nodes, victim: str) -> None:
    """No peer is lost, whichever it is, and strangers are let in by the one that is left."""
    chance = random.Random(ROUNDS)
    for _ in range(ROUNDS):
        node = nodes.start()
        async with await ScriptedPeer.connect(node.target) as peer:
            await peer.sync()
            old = node.pids()["connectd"]
            restarting = asyncio.create_task(node.rpc("restart", what="connectd"))
            new = await another(node, "connectd", old)
            await asyncio.sleep(chance.random())  # the moment is what is tried out
            with contextlib.suppress(ProcessLookupError):
                os.kill(old if victim == "old" else new, signal.SIGKILL)
            answer = (await asyncio.gather(restarting, return_exceptions=True))[0]
            assert isinstance(answer, dict | RpcError), answer
            await peer.sync()
            async with await ScriptedPeer.connect(node.target) as late:
                await late.sync()
        await node.be_alone()
