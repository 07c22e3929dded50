"""`restart` at a bad moment: one sentence, or it is done; the node serves on, or ends as it was told to."""

import asyncio
import contextlib
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.killed import serves
from tests.harness.moves import opening
from tests.harness.node import NETWORK, Nodes, RpcError
from tests.harness.pinger import Pinger
from tests.harness.puppeteer import Puppeteer
from tests.harness.restarted import failed, restart
from tests.harness.small_disk import small_disk
from tests.harness.waiting import until

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]
PEERS = 5
SMALL_DISK = 1 << 20


def sentence(error: RpcError) -> str:
    """What was refused; it is one line."""
    assert "\n" not in error.message
    return error.message


@pytest.mark.parametrize("what", ["gossipd", "connectd", "master"])
async def test_while_channel_programs_are_being_started(nodes: Nodes, puppets: Puppeteer, what: str) -> None:
    """Each message that began one is the program's, once."""
    node = nodes.start(Puppeteer.service("puppet", puppets.path), "--take=puppet=open_channel")
    peers = [await ScriptedPeer.connect(node.target) for _ in range(PEERS)]
    for peer in peers:
        await peer.sync()
    restarting = asyncio.create_task(node.rpc("restart", what=what))
    for peer in peers:
        await peer.say(opening())
        await asyncio.sleep(0.1)  # the moments are what is tried out
    assert (await restarting)["lost"] == 0
    programs = [await puppets.next() for _ in peers]
    for puppet in programs:
        await puppet("give_back")
    for peer in peers:
        await peer.sync()
        await peer.close()
    assert puppets.nobody_came()


@pytest.mark.parametrize("what", ["gossipd", "connectd", "hsmd", "master", "all"])
async def test_stop_and_restart_at_once(nodes: Nodes, what: str) -> None:
    """Whichever the node hears first, and whenever `stop` comes: it ends well."""
    node = nodes.start()
    restarting = asyncio.create_task(node.rpc("restart", what=what))
    await asyncio.sleep(random.Random(what).uniform(0, 1))  # the moment is what is tried out
    with contextlib.suppress(RpcError, OSError, EOFError):
        await node.rpc("stop")
    answer = (await asyncio.gather(restarting, return_exceptions=True))[0]
    if isinstance(answer, RpcError):
        sentence(answer)
    assert await asyncio.to_thread(node.wait, 60) == 0


@pytest.mark.parametrize(("dead", "what"), [("connectd", "gossipd"), ("gossipd", "connectd"), ("gossipd", "master")])
async def test_while_another_daemon_is_being_restarted(nodes: Nodes, dead: str, what: str) -> None:
    """Done, or refused in one sentence; then the node is whole."""
    node = nodes.start()
    os.kill(node.pids()[dead], signal.SIGKILL)
    try:
        assert (await node.rpc("restart", what=what))["lost"] == 0
    except RpcError as error:
        assert "try again" in sentence(error) or "goes on as it was" in sentence(error)
    await serves(node)
    assert (await node.rpc("restart", what="all"))["lost"] == 0
    await serves(node)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.parametrize("what", ["gossipd", "connectd", "master", "all"])
async def test_while_the_disk_is_full(tmp_path: Path, what: str) -> None:
    """No peer is lost, whether it is done or refused; with room again it is done."""
    with small_disk(tmp_path / "l1", SMALL_DISK), Nodes(tmp_path) as nodes:
        node = nodes.start(name="l1")
        pingers = [Pinger(await ScriptedPeer.connect(node.target)) for _ in range(PEERS)]
        filling = tmp_path / "l1" / NETWORK / "filling"
        with contextlib.suppress(OSError), filling.open("wb", buffering=0) as out:
            while out.write(bytes(4_096)):
                pass
        done: dict[str, Any] = {}
        try:
            done = await restart(node, what)
            refused = failed(done)
        except RpcError as error:
            refused = [sentence(error)]
        assert all("goes on" in text or "nothing was restarted" in text for text in refused), refused
        for pinger in pingers:
            await pinger.goes_on()
        filling.unlink()

        async def is_done() -> bool:
            return failed(await restart(node, what)) == []

        await until(is_done, "it is refused with room, too")
        for pinger in pingers:
            await pinger.goes_on()
            await pinger.end()
