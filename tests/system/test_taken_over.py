"""Daemons that are taken over: what they say to a real master, and what they can open, when they are up and running."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.bus_client import BusService
from tests.harness.moves import opening, owner
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.puppeteer import Puppet, Puppeteer
from tests.harness.taken_over_daemon import TakenOver, program
from tests.harness.waiting import until
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    PeerConnected,
    PeerDisconnected,
    PeerFault,
    PeerGivenBack,
    PeerHandedOver,
    PeerInfo,
    PeerMessage,
    PeerNongossip,
    PeerOwner,
    PeerReconnected,
    PeerTaken,
    ReleasePeerReply,
)
from wire.control.landlock import landlock_version
from wire.crypto_state import CryptoState, PeerState
from wire.secp256k1 import public_key

INVENTED = public_key(b"\x77" * 32)
STATE = PeerState(CryptoState(0, 0, *[bytes(32)] * 4), b"", b"")
ERROR = b"\x00\x11" + bytes(32) + b"\x00\x04lost"
NOTHING = Fd(0)
NAMES = ("gossipd", "connectd", "connectiond", "listingd")
WEBSOCKET = "--bind-addr=ws:127.0.0.1:0"

needs_landlock = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("t")


@pytest.fixture(scope="module")
def shared_node(shared_nodes: Nodes, directory: Path) -> Node:
    return shared_nodes.start(
        Puppeteer.service("puppet", directory / "strings"),
        "--take=puppet=open_channel",
        WEBSOCKET,
        program=program(directory, *NAMES),
    )


@pytest.fixture
async def node(shared_node: Node) -> AsyncIterator[Node]:
    """connectiond is there. The master has no more sockets after a test than before: no fd of what it refuses stays."""
    async with BusService("first", shared_node.directory) as service:
        await service.join()
    before = shared_node.sockets()["lightningd"]
    yield shared_node
    for node_id in await shared_node.peers():
        with contextlib.suppress(RpcError):  # it may have ended by itself
            await shared_node.rpc("disconnect", id=node_id, force=True)

    async def let_go() -> bool:
        return shared_node.sockets()["lightningd"] <= before

    await until(let_go, "the master has more sockets than before")
    assert shared_node.broken() == []


@pytest.fixture
async def puppets(directory: Path) -> AsyncIterator[Puppeteer]:
    async with Puppeteer(directory / "strings") as puppets:
        yield puppets


@pytest.fixture
async def peer(node: Node) -> AsyncIterator[ScriptedPeer]:
    """One that gossipd has."""
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        yield peer


@pytest.fixture
async def services_peer(node: Node, puppets: Puppeteer) -> AsyncIterator[tuple[ScriptedPeer, Puppet]]:
    """One that a program has."""
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(opening())
        yield peer, await puppets.next()


@pytest.fixture
def daemons(directory: Path) -> dict[str, TakenOver]:
    return {name: TakenOver(directory / name) for name in NAMES}


def words(node_id: bytes, conn_id: int) -> list[ControlMessage]:
    """What an owner may say of its connection."""
    return [
        PeerDisconnected(node_id, conn_id, "gone"),
        PeerGivenBack(node_id, conn_id, STATE, [], None, NOTHING, NOTHING),
        PeerNongossip(node_id, conn_id, opening(), 32, bytes(32), STATE, NOTHING, NOTHING),
        PeerMessage(node_id, conn_id, ERROR, 17, bytes(32)),
    ]


async def test_gossipd_speaks_for_a_program(
    node: Node, services_peer: tuple[ScriptedPeer, Puppet], daemons: dict[str, TakenOver]
) -> None:
    peer, puppet = services_peer
    start, conn_id = len(node.lines), puppet.about["conn_id"]
    for word in (*words(peer.node_id, conn_id), ReleasePeerReply(peer.node_id, conn_id, STATE, NOTHING, NOTHING)):
        await daemons["gossipd"].say(word)
    await daemons["gossipd"].say(PeerFault(INVENTED, conn_id, "bad gossip"))
    await node.logged(f"UNUSUAL.*gossipd says peer_disconnected of connection {conn_id}, which a program has", start)
    await until_heard(node, daemons["gossipd"])
    assert await owner(node, peer) == "puppet"
    assert "last_error" not in await node.peer(peer.node_id)
    await puppet("say", message="8001")
    assert (await peer.hear(0x8001)).encode() == b"\x80\x01"


async def test_gossipd_invents_a_connection(
    node: Node, puppets: Puppeteer, daemons: dict[str, TakenOver], peer: ScriptedPeer
) -> None:
    """With an open_channel for the service: it is not started."""
    start = len(node.lines)
    info = PeerInfo(INVENTED, 4_000_000, "127.0.0.1:9", True, None, b"", [])
    await daemons["gossipd"].say(PeerTaken(info))
    await daemons["gossipd"].say(words(INVENTED, info.conn_id)[2])
    await node.logged("gossipd says peer_taken of connection 4000000, which connectd has not given to it", start)
    assert puppets.nobody_came()
    assert INVENTED.hex() not in await node.peers()
    await peer.sync()


async def test_gossipd_has_somebody_be_another_node(
    node: Node, puppets: Puppeteer, daemons: dict[str, TakenOver], peer: ScriptedPeer
) -> None:
    start, conn_id = len(node.lines), (await node.peer(peer.node_id))["conn_id"]
    for word in words(INVENTED, conn_id):
        await daemons["gossipd"].say(word)
    await node.logged(rf"gossipd says peer_disconnected of connection {conn_id}, which is another node's", start)
    await until_heard(node, daemons["gossipd"])
    assert puppets.nobody_came()
    assert await owner(node, peer) == "gossipd"
    await peer.sync()


async def test_connectd_speaks_for_gossipd(node: Node, daemons: dict[str, TakenOver], peer: ScriptedPeer) -> None:
    start, conn_id = len(node.lines), (await node.peer(peer.node_id))["conn_id"]
    info = PeerInfo(INVENTED, conn_id, "127.0.0.1:9", True, None, b"", [])
    connectd = daemons["connectd"]
    await connectd.say(PeerConnected(info, STATE, NOTHING, NOTHING))
    await connectd.say(PeerHandedOver(info))
    await connectd.say(PeerReconnected(INVENTED, conn_id))
    await connectd.say(PeerDisconnected(peer.node_id, conn_id, "gone"))
    await node.logged(f"connectd says peer_connected of connection {conn_id}, which is no new one", start)
    await node.logged(f"connectd says peer_disconnected of connection {conn_id}, which gossipd has", start)
    assert list(await node.peers()) == [peer.node_id.hex()]
    await peer.sync()


async def test_connectiond_speaks_for_gossipd(
    node: Node, daemons: dict[str, TakenOver], peer: ScriptedPeer, puppets: Puppeteer
) -> None:
    start, conn_id = len(node.lines), (await node.peer(peer.node_id))["conn_id"]
    async with BusService("bus", node.directory) as service:
        await service.join()
        for word in (*words(peer.node_id, conn_id), PeerOwner(peer.node_id, conn_id, "bus")):
            await daemons["connectiond"].say(word)
        await node.logged(f"connectiond says peer_disconnected of connection {conn_id}, which gossipd has", start)
        assert await owner(node, peer) == "gossipd"
        assert puppets.nobody_came()
        await peer.sync()


async def until_heard(node: Node, daemon: TakenOver) -> None:
    """The master has dealt with what it has been told: the last word is in the log."""
    start = len(node.lines)
    await daemon.say(PeerFault(INVENTED, 5_000_000 + start, "a barrier"))
    await node.logged(f"connection {5_000_000 + start}, which is not known", start)


@needs_landlock
async def test_what_running_daemons_can_open(node: Node, daemons: dict[str, TakenOver]) -> None:
    """Not the secret, nor what else is the user's; gossipd has the folder of its store."""
    secret, store = node.directory / "hsm_secret", node.directory / "gossip_store"
    database = next(node.directory.glob("*.sqlite3"))
    async with BusService("bus", node.directory) as service:
        await service.join()
        for name, daemon in daemons.items():
            for path in (secret, database):
                for write in (False, True):
                    assert await daemon.tries_to_open(path, write=write) == "Permission denied", (name, path)
            kept = "opened" if name == "gossipd" else "Permission denied"
            assert await daemon.tries_to_open(store, write=True) == kept
    assert os.access(secret, os.R_OK)


async def test_the_line_of_a_kernel_without_landlock(nodes: Nodes, tmp_path: Path) -> None:
    script = tmp_path / "node.py"
    script.write_text(
        "from lightningd_py import __main__ as node, master\n"
        "master.landlock_version = lambda: 0\n"
        "raise SystemExit(node.main())\n"
    )
    node = await asyncio.to_thread(nodes.start, program=[sys.executable, script])
    assert (
        sum("this kernel has no Landlock: our daemons may open what this user may" in line for line in node.lines) == 1
    )
