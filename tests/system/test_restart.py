"""`restart`: a process of the node is replaced, and no peer notices."""

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.moves import CHAIN, opening, owner, ping
from tests.harness.node import NETWORK, Nodes, RpcError
from tests.harness.pinger import Pinger
from tests.harness.puppeteer import Puppeteer
from tests.harness.restarts import another
from tests.harness.small_map import CHANNELS, NODES
from tests.harness.waiting import until
from wire.peer_wire import ChannelAnnouncement, ChannelUpdate, GossipTimestampFilter, NodeAnnouncement

PEERS = 40
GOSSIP = (ChannelAnnouncement, ChannelUpdate, NodeAnnouncement)


@pytest.mark.long
async def test_no_peer_notices_that_gossipd_is_another_one(
    nodes: Nodes, puppets: Puppeteer, small_map_store: Path
) -> None:
    """Not those that ping all the time, nor one that is streamed the map, nor one of a program's."""
    shutil.copy(small_map_store, nodes.directory("l1") / NETWORK / "gossip_store")
    node = nodes.start(Puppeteer.service("puppet", puppets.path), "--take=puppet=open_channel", name="l1")
    pingers = [Pinger(await ScriptedPeer.connect(node.target)) for _ in range(PEERS)]
    async with await ScriptedPeer.connect(node.target) as programs, await ScriptedPeer.connect(node.target) as streams:
        await programs.say(opening())
        puppet = await puppets.next()
        before = node.pids()
        conn_ids = {peer["id"]: peer["conn_id"] for peer in (await node.rpc("listpeers"))["peers"]}
        await streams.say(GossipTimestampFilter(CHAIN, 0, 0xFFFFFFFF))
        done = await node.rpc("restart", what="gossipd")
        assert (done["restarted"], done["moved"], done["lost"]) == ("gossipd", PEERS + 2, 0)
        after = node.pids()
        assert {name for name in after if after[name] != before.get(name)} == {"gossipd"}
        assert {peer["id"]: peer["conn_id"] for peer in (await node.rpc("listpeers"))["peers"]} == conn_ids
        for pinger in pingers:
            await pinger.goes_on()
        heard: list[bytes] = []
        while len(heard) < 3 * CHANNELS + NODES:
            message = await streams.hear()
            heard += [message.encode()] if isinstance(message, GOSSIP) else []  # gossipd may ask for some, too
        assert len(set(heard)) == len(heard), "each once"
        assert await owner(node, programs) == "puppet"
        await puppet("give_back")
        await programs.sync()
        assert await owner(node, programs) == "gossipd"
        assert await ping(node, streams) == 132
        new = await ScriptedPeer.connect(node.target)
        await new.sync()
        await new.close()
    for pinger in pingers:
        await pinger.end()
    await node.be_alone()


@pytest.mark.long
async def test_many_times_in_a_row(nodes: Nodes) -> None:
    """Nothing is left behind, and what the map learnt is there."""
    node = nodes.start()
    pinger = Pinger(await ScriptedPeer.connect(node.target))
    for _ in range(5):
        assert (await node.rpc("restart", what="gossipd"))["lost"] == 0
        await pinger.goes_on()
    await pinger.end()
    await node.be_alone()


async def test_one_at_a_time(nodes: Nodes) -> None:
    node = nodes.start()
    answers = await asyncio.gather(*(node.rpc("restart", what="gossipd") for _ in range(2)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, RpcError)]
    assert [error.message for error in refused] == ["gossipd is being restarted: try again when it is done"]
    with pytest.raises(RpcError, match="what: should be"):
        await node.rpc("restart", what="gosipd")


@pytest.mark.parametrize("victim", ["old", "new"])
async def test_killed_in_the_middle(nodes: Nodes, victim: str) -> None:
    """Whichever it is: the node serves on, and with the old one alive no peer is lost."""
    node = nodes.start()
    peer = await ScriptedPeer.connect(node.target)
    await peer.sync()
    old = node.pids()["gossipd"]
    restarting = asyncio.create_task(node.rpc("restart", what="gossipd"))
    new = await another(node, "gossipd", old)
    with contextlib.suppress(ProcessLookupError):  # it was quicker
        os.kill(old if victim == "old" else new, signal.SIGKILL)
    answer = (await asyncio.gather(restarting, return_exceptions=True))[0]
    if victim == "new" and isinstance(answer, RpcError):
        assert "gossipd goes on as it was" in answer.message
        await peer.sync()
        assert node.pids()["gossipd"] == old
    await peer.close()

    async def serves() -> bool:
        try:
            async with await ScriptedPeer.connect(node.target, timeout=10) as late:
                await late.sync(10)
        except (OSError, EOFError, TimeoutError):
            return False
        return True

    await until(serves, "no peer is served any more")
    await node.be_alone()
