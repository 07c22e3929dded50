"""`restart master`: the program of the master's process is another one, and nobody notices: peers, daemons, clients."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness.bus_client import BusService
from tests.harness.crowd import EchoOfBuses
from tests.harness.killed import serves
from tests.harness.moves import about_channel, opening, owner, ping
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.pinger import Pinger
from tests.harness.puppeteer import Puppeteer
from tests.harness.waiting import until
from tests.system.test_copies import service as ear
from wire.secp256k1 import public_key

PEERS = 20
PEER_ID = public_key(bytes([9]) * 32)


def fds(node: Node) -> dict[str, int]:
    """How many each process has open."""
    return {name: len(list(Path(f"/proc/{pid}/fd").iterdir())) for name, pid in node.pids().items()}


@pytest.mark.long
async def test_peers_programs_and_clients_go_on(nodes: Nodes, puppets: Puppeteer) -> None:
    """Five times: the same processes, with the same fds, and every connection."""
    node = nodes.start(Puppeteer.service("puppet", puppets.path), "--take=puppet=open_channel", name="l1")
    pingers = [Pinger(await ScriptedPeer.connect(node.target)) for _ in range(PEERS)]
    async with await ScriptedPeer.connect(node.target) as programs:
        await programs.say(opening())
        puppet = await puppets.next()
        before, had = node.pids(), fds(node)
        peers = {peer["id"]: (peer["conn_id"], peer["moves"]) for peer in (await node.rpc("listpeers"))["peers"]}
        reader, writer = await asyncio.open_unix_connection(node.rpc_file)
        writer.write(b'{"jsonrpc": "2.0", "id": 1, "method": "help", "params": {"comm')
        for _ in range(5):
            done = await node.rpc("restart", what="master")
            assert (done["restarted"], done["moved"], done["lost"]) == ("master", PEERS + 1, 0)
            assert node.pids() == before
            for pinger in pingers:
                await pinger.goes_on()
        assert {
            peer["id"]: (peer["conn_id"], peer["moves"]) for peer in (await node.rpc("listpeers"))["peers"]
        } == peers
        writer.write(b'and": "ping"}}')
        assert json.loads(await reader.readuntil(b"\n\n"))["result"]["help"][0]["command"].startswith("ping ")
        writer.close()
        assert await owner(node, programs) == "puppet"
        await puppet("give_back")
        await programs.sync()
        assert await owner(node, programs) == "gossipd"
        assert await ping(node, programs) == 132

        async def no_more() -> bool:  # a client's connection, too, ends a moment later than its answer
            return not any(now > had[name] for name, now in fds(node).items())

        await until(no_more, lambda: f"fds: there were {had}, there are {fds(node)}")
    async with await ScriptedPeer.connect(node.target) as late:
        await late.sync()
    for pinger in pingers:
        await pinger.end()
    await node.be_alone()


async def test_clients_wait_rather_than_fail(nodes: Nodes) -> None:
    """A dial that is under way is gone on with; what is asked meanwhile waits for the new program."""
    node = nodes.start()
    dialled: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    silent = await asyncio.start_server(lambda reader, writer: dialled.put_nowait(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    dialling = asyncio.create_task(node.rpc("connect", id=f"{PEER_ID.hex()}@127.0.0.1:{port}"))
    writer = await dialled.get()
    restarting = asyncio.create_task(node.rpc("restart", what="master"))
    asked = [asyncio.create_task(node.rpc("getinfo")) for _ in range(20)]
    assert (await restarting)["restarted"] == "master"
    assert [(await each)["id"] for each in asked] == [node.node_id] * 20
    assert not dialling.done()
    silent.close()
    writer.close()
    with pytest.raises(RpcError, match="All addresses failed"):
        await dialling
    await node.be_alone()


async def test_a_service_of_the_buses_says_hello_again(nodes: Nodes) -> None:
    """Its connections go on meanwhile, and what it has registered holds."""
    node = nodes.start()
    async with BusService("channels", node.directory) as service, await ScriptedPeer.connect(node.target) as peer:
        await service.join()
        await service.ask("register", take=[32])
        await peer.say(opening())
        conn_id = (await service.taken())["conn_id"]
        await service.hear_peer(conn_id)
        await node.rpc("restart", what="master")
        await peer.say(about_channel(134))
        assert await service.hear_peer(conn_id) == about_channel(134)
        goodbye = await service.ctl.hear("goodbye")
        assert goodbye["reason"] == "the master is restarted: say hello again"
        async with await ScriptedPeer.connect(node.target) as late:
            await late.say(opening())
            other = (await service.taken())["conn_id"]
            await service.hear_peer(other)
        assert await owner(node, peer) == "channels"
        ticket = service.ticket
        await service.hello()
        assert service.ticket == ticket
        (entry,) = (await node.rpc("listservices"))["services"]
        assert (entry["here"], entry["take"]) == (True, ["open_channel"])
    await node.logged("service channels has left")


@pytest.mark.long
async def test_a_program_that_hears_copies_misses_none(nodes: Nodes, tmp_path: Path) -> None:
    node = nodes.start(ear(tmp_path), "--copy=ear=32769")
    async with await ScriptedPeer.connect(node.target) as peer:
        for number in range(3):
            await peer.say(bytes.fromhex(f"8001{number:04x}"))
            await node.rpc("restart", what="master")
            await node.logged(f"heard 8001{number:04x}")
        await peer.say(bytes.fromhex("8001dead"))
        await node.logged("service ear, which gets copies, exited with 3")
        await peer.say(bytes.fromhex("80010009"))
        await node.logged("heard 80010009")


@pytest.mark.long
async def test_a_daemon_that_dies_afterwards_is_restarted(nodes: Nodes, tmp_path: Path) -> None:
    """Its death is heard of; the log's files are opened again; and `stop` ends it all."""
    log = tmp_path / "node.log"
    node = nodes.start(f"--log-file={log}", "--log-file=-")
    await node.rpc("restart", what="master")
    os.kill(node.pids()["gossipd"], signal.SIGKILL)
    await node.logged("gossipd was restarted")
    log.rename(tmp_path / "old.log")
    node.process.send_signal(signal.SIGHUP)

    async def there() -> bool:
        return log.exists()

    await until(there, "the log is not opened again")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
    await node.rpc("restart", what="master")

    async def logged() -> bool:
        return "master was restarted" in log.read_text()

    await until(logged, "it is not in the file that was opened again")


@pytest.mark.long
async def test_all(nodes: Nodes) -> None:
    """By RPC and by SIGUSR2: each process that can be replaced is another one, and no connection has ended."""
    node = nodes.start()
    pinger = Pinger(await ScriptedPeer.connect(node.target))
    before = node.pids()
    done = await node.rpc("restart", what="all")
    assert (done["restarted"], done["moved"], done["lost"]) == ("all", 1, 0)
    names = [each["restarted"] for each in done["processes"]]
    assert names == ["master", "hsmd", "connectd", "gossipd", "listingd", "log"]
    after = node.pids()
    assert all(after[name] != before[name] for name in names[1:-1])
    await pinger.goes_on()
    gossipd = node.pids()["gossipd"]
    node.process.send_signal(signal.SIGUSR2)

    async def again() -> bool:
        return node.log.count("gossipd was restarted") == 2

    await until(again, "SIGUSR2 has no effect")
    assert node.pids()["gossipd"] != gossipd
    await pinger.goes_on()
    await pinger.end()


@pytest.mark.long
@pytest.mark.parametrize("what", ["connectd", "master", "all"])
async def test_graceful_goes_on(nodes: Nodes, what: str) -> None:
    """A node that is about to stop dials no peer and takes none, whichever of its processes is another one by now."""
    l1, l2 = nodes.start(name="l1"), nodes.start(name="l2")
    await l1.rpc("keepconnected", id=l2.target)
    await l1.rpc("connect", id=l2.target)
    assert await l1.rpc("graceful") == {}
    for _ in range(2):
        await l1.rpc("restart", what=what)
        with pytest.raises(RpcError, match="the node is about to stop"):
            await l1.rpc("connect", id=l2.target)
        with pytest.raises(RpcError):
            await l2.rpc("connect", id=l1.target)
    assert (await l1.rpc("getinfo"))["num_peers"] == 0


async def test_graceful_that_waits(nodes: Nodes, puppets: Puppeteer) -> None:
    """For a connection of a program's, which goes on: it is answered by the next program when that has ended."""
    node = nodes.start(Puppeteer.service("puppet", puppets.path), "--take=puppet=open_channel")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(opening())
        puppet = await puppets.next()
        ending = asyncio.create_task(node.rpc("graceful"))
        await node.rpc("restart", what="master")
        with pytest.raises((OSError, EOFError, PeerClosed)):
            await ScriptedPeer.connect(node.target)
        assert not ending.done()
        await puppet("disconnected", reason="done")
        assert await ending == {}


async def test_a_version_that_cannot_go_on_is_not_tried(nodes: Nodes) -> None:
    """Its reason is told, and everything is as it was."""
    node = nodes.start()
    config = node.directory / "config"
    async with await ScriptedPeer.connect(node.target) as peer:
        config.write_text("no-such-option\n")
        with pytest.raises(RpcError, match=r"the version that is installed now cannot go on .*no-such-option"):
            await node.rpc("restart", what="master")
        config.unlink()
        await peer.sync()
        assert (await node.rpc("restart", what="master"))["moved"] == 1
        await peer.sync()


UNEXECUTABLE = """
import os, sys
from lightningd_py.__main__ import main
def execve(*_):
    raise OSError(12, "Cannot allocate memory")
os.execve = execve
sys.exit(main())
"""


async def test_what_cannot_be_executed_goes_on_as_it_was(nodes: Nodes, tmp_path: Path) -> None:
    """At the last moment, when all is handed over already: the old program takes it back."""
    script = tmp_path / "unexecutable.py"
    script.write_text(UNEXECUTABLE)
    node = nodes.start(program=[sys.executable, "-P", script])
    had = fds(node)
    pinger = Pinger(await ScriptedPeer.connect(node.target))
    for _ in range(2):
        with pytest.raises(RpcError, match=r"the master goes on as it was: .*: Cannot allocate memory"):
            await node.rpc("restart", what="master")
        await pinger.goes_on()
    await pinger.end()
    await node.be_alone()

    async def no_more() -> bool:
        return fds(node)["lightningd"] <= had["lightningd"]

    await until(no_more, "the master has more fds than before")


SHORT_HEARTBEATS = """
import sys
from dataclasses import replace
from wire.control import timing
timing.FAST_GOSSIP = replace(timing.FAST_GOSSIP, heartbeat=0.1, control_timeout=2.0)
from lightningd_py.__main__ import main
sys.exit(main())
"""
BEATS = 3
"""Seconds in which a daemon would be killed that is asked and not heard."""


@pytest.mark.long
async def test_heartbeats_go_on(nodes: Nodes, tmp_path: Path) -> None:
    """Each process that is there after a restart answers the master of now, for longer than it may be silent."""
    script = tmp_path / "short_heartbeats.py"
    script.write_text(SHORT_HEARTBEATS)
    node = nodes.start("--bind-addr=ws:127.0.0.1:0", program=[sys.executable, "-P", script])
    service = EchoOfBuses(node)
    await service.start()
    async with await ScriptedPeer.connect(node.target) as peer:
        for what in ("master", "master", "all"):
            await node.rpc("restart", what=what)
            await serves(node)
            pids = node.pids()
            assert {"hsmd", "connectd", "gossipd", "connectiond", "websocketd", "listingd"} <= pids.keys()
            with pytest.raises(RpcError, match="Timed out"):
                await node.rpc("wait", subsystem="networkevents", indexname="created", nextvalue=1_000, timeout=BEATS)
            assert node.pids() == pids
            await peer.sync()
    await service.close()
    assert "has not answered" not in node.log


async def test_only_one_at_a_time(nodes: Nodes) -> None:
    node = nodes.start()
    answers = await asyncio.gather(
        *(node.rpc("restart", what=what) for what in ("master", "gossipd")), return_exceptions=True
    )
    assert len([answer for answer in answers if isinstance(answer, RpcError)]) == 1
