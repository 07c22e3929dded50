"""Backups of peers: kept, and given back after each init before anything else, whichever process has the connection."""

import asyncio
import os
import shlex
import signal
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.storage.file import FILE_NAME
from lightningd_py.tools.scripted_peer import PeerClosed, ScriptedPeer
from tests.harness.bus_client import BusRefused, BusService
from tests.harness.moves import owner
from tests.harness.node import Node, Nodes, RpcError
from tests.harness.restarted import restart
from tests.harness.waiting import until
from wire.features import Features, default_init_features
from wire.peer_wire import PeerStorage, PeerStorageRetrieval, WarningMessage
from wire.secp256k1 import public_key

PRIVKEY, OTHER_KEY = bytes([9]) * 32, bytes([11]) * 32
PEER_ID, OTHER_ID = public_key(PRIVKEY), public_key(OTHER_KEY)
STORAGE = 43
WITH_STORAGE = default_init_features() | Features.of([STORAGE])
LARGEST = bytes(range(256)) * 255 + bytes(251)
ECHO, REESTABLISH = 0x8001, b"\x00\x88" + bytes(32)
ECHO_PROGRAM = Path(__file__).parent.parent / "harness" / "echo_service.py"
CHANNEL = {"channel_id": bytes([1]) * 32, "node_id": PEER_ID}


async def connect(node: Node, privkey: bytes = PRIVKEY) -> ScriptedPeer:
    return await ScriptedPeer.connect(node.target, privkey=privkey, features=WITH_STORAGE)


async def kept(node: Node, peer_id: bytes = PEER_ID) -> dict[str, Any]:
    """The peer's entry in listpeerstorage; empty if there is none."""
    found = (await node.rpc("listpeerstorage", id=peer_id.hex()))["peerstorage"]
    return dict(found[0]) if found else {}


async def has(node: Node, peer_id: bytes = PEER_ID, **fields: Any) -> None:
    """Wait until the peer's entry is so."""
    entry: dict[str, Any] = {}

    async def so() -> bool:
        entry.clear()
        entry.update(await kept(node, peer_id))
        return bool(entry) and fields.items() <= entry.items()

    await until(so, lambda: f"{fields} is not so: {entry}")


async def store(node: Node, blob: bytes) -> None:
    """A connection that has this kept, and ends."""
    async with await connect(node) as peer:
        await peer.say(PeerStorage(blob).encode())
        await has(node, size=len(blob), on_disk=True)
    await gone(node)


async def gone(node: Node, peer_id: bytes = PEER_ID) -> None:
    async def so() -> bool:
        return not (await node.peers()).get(peer_id.hex(), {}).get("connected")

    await until(so, "the peer is still there")


async def gets_first(node: Node, blob: bytes) -> None:
    """The first message after init is what was kept."""
    async with await connect(node) as peer:
        assert await peer.hear() == PeerStorageRetrieval(blob)
    await gone(node)


async def heard_nothing(peer: ScriptedPeer) -> None:
    """No backup of its was given back; all that it has said was heard by the owner of its connection."""
    assert not any(isinstance(message, PeerStorageRetrieval) for message in await peer.sync())


async def refused(node: Node) -> dict[str, int]:
    return dict((await node.rpc("listpeerstorage"))["refused"])


@pytest.mark.long
@pytest.mark.bolt("B1-41", "B1-152")
async def test_gossipd_has_the_connection(nodes: Nodes) -> None:
    """The newest of many is what counts; restarts, a kill and another start change nothing."""
    node = nodes.start("--peer-storage=all", name="l1")
    async with await connect(node) as peer:
        assert peer.their_init is not None and Features(peer.their_init.features).has(STORAGE)
        await peer.say(PeerStorage(b"first").encode())
        await has(node, size=5, on_disk=True)
        await peer.say(*(PeerStorage(bytes([number])).encode() for number in range(200)), PeerStorage(LARGEST).encode())
        await heard_nothing(peer)
        assert await owner(node, peer) == "gossipd"
    await has(node, size=len(LARGEST))  # it was passed on when the connection ended
    await gets_first(node, LARGEST)
    await restart(node, "all")
    await gets_first(node, LARGEST)
    assert stat.S_IMODE((node.directory / FILE_NAME).stat().st_mode) == 0o600
    assert node.stop() == 0
    nodes.expect_end(node)

    node = nodes.start("--peer-storage=all", name="l1")  # all that waited was written at the end
    await gets_first(node, LARGEST)
    os.kill(node.pids()["lightningd"], signal.SIGKILL)
    await asyncio.to_thread(node.wait)
    nodes.expect_end(node)

    node = nodes.start("--peer-storage=all", name="l1")
    async with await connect(node) as peer:
        assert await peer.hear() == PeerStorageRetrieval(LARGEST)
        await node.rpc("restart", what="gossipd")
        await peer.say(PeerStorage(b"newest").encode())
        await has(node, size=6)
    await gets_first(node, b"newest")
    await node.rpc("delpeerstorage", id=PEER_ID.hex())
    with pytest.raises(RpcError, match="nothing is kept for this peer"):
        await node.rpc("delpeerstorage", id=PEER_ID.hex())
    async with await connect(node) as peer:
        await heard_nothing(peer)


@pytest.mark.bolt("B1-41")
async def test_program_has_the_connection(nodes: Nodes) -> None:
    """What the program says first comes after what is kept; the copies that it passes on are the node's."""
    service = f"--service=echo={shlex.join([sys.executable, '-P', str(ECHO_PROGRAM)])}"
    node = nodes.start(service, f"--take=echo={PEER_ID.hex()}", "--peer-storage=all")
    async with await connect(node) as peer:
        await peer.hear(ECHO)
        await peer.say(PeerStorage(b"first").encode(), PeerStorage(b"second").encode())
        await peer.sync()
    await has(node, size=6)
    await gone(node)
    for what in ("nothing", "master"):
        if what == "master":
            await node.rpc("restart", what="master")
        async with await connect(node) as peer:
            assert await peer.hear() == PeerStorageRetrieval(b"second")
            await peer.hear(ECHO)
            assert await owner(node, peer) == "echo"
        await gone(node)


@pytest.mark.bolt("B1-41", "B1-152", "B1-154")
async def test_connectiond_has_the_connection(nodes: Nodes) -> None:
    """Mode `channels`: a blob is kept while its peer has a channel, and for a while afterwards; a stranger's is not."""
    node = nodes.start()
    async with BusService("channels", node.directory) as service:
        await service.join()
        await service.ask("register", channels=[CHANNEL])
        async with await connect(node) as peer, await connect(node, OTHER_KEY) as stranger:
            await service.taken(node_id=PEER_ID)
            await peer.say(PeerStorage(b"first").encode(), PeerStorage(LARGEST).encode())
            await stranger.say(PeerStorage(b"too").encode())
            await has(node, size=5)
            await peer.sync()
        await has(node, size=len(LARGEST))
        await gone(node)

        async def no_channel() -> bool:
            return await refused(node) == {"no_channel": 1}

        await until(no_channel, "a stranger's backup was not refused")
        async with await connect(node) as peer:
            conn_id = (await service.taken(node_id=PEER_ID))["conn_id"]
            await service.say(conn_id, REESTABLISH)
            assert await peer.hear() == PeerStorageRetrieval(LARGEST)
            assert (await peer.hear(136)).encode() == REESTABLISH
        await gone(node)
        assert "expires" not in await kept(node)
        await service.ask("unregister", channel_ids=[CHANNEL["channel_id"]])
        assert "expires" in await kept(node)
    await gets_first(node, LARGEST)
    async with await connect(node) as peer:
        await peer.say(PeerStorage(b"without a channel").encode())

        async def twice() -> bool:
            return await refused(node) == {"no_channel": 2}

        await until(twice, "it has no channel any more")
    async with await connect(node, OTHER_KEY) as stranger:
        await heard_nothing(stranger)


@pytest.mark.bolt("B1-151")
async def test_wrong_length_ends_the_connection_of_that_peer_alone(nodes: Nodes) -> None:
    node = nodes.start("--peer-storage=all")
    async with await connect(node, OTHER_KEY) as other, await connect(node) as peer:
        await peer.say(bytes.fromhex("0007fffff00d"))
        with pytest.raises(PeerClosed):
            while not isinstance(await peer.hear(), WarningMessage):
                pass
            await peer.hear()
        await heard_nothing(other)
    assert (await node.rpc("listpeerstorage"))["peerstorage"] == []


@pytest.mark.bolt("B1-155")
@pytest.mark.parametrize("what", ["none", "damaged", "newer"])
async def test_no_file_no_feature_and_no_harm(nodes: Nodes, what: str) -> None:
    path = nodes.directory("l1") / "regtest" / FILE_NAME
    if what == "damaged":
        path.write_bytes(b"no database at all" * 1_000)
    elif what == "newer":
        with sqlite3.connect(path) as file:
            file.execute("PRAGMA user_version = 9")
        file.close()
    node = nodes.start(f"--peer-storage={'none' if what == 'none' else 'all'}", name="l1")
    if what != "none":
        sentence = await node.logged(rf"storage: database .*{FILE_NAME} is .*the node runs on, and keeps no backups")
        assert ("newer lightningd-py" if what == "newer" else "is damaged") in sentence
    async with await connect(node) as peer:
        assert peer.their_init is not None and not Features(peer.their_init.features).has(STORAGE)
        await peer.say(PeerStorage(b"for no one").encode(), bytes.fromhex("0007ff"))
        await heard_nothing(peer)
    shown = await node.rpc("listpeerstorage")
    assert (shown["mode"], shown["peerstorage"]) == ("none", [])
    assert path.exists() == (what != "none")


@pytest.mark.bolt("B1-156")
async def test_services_have_theirs_kept_by_peers(nodes: Nodes) -> None:
    """To peers with a channel that offer the feature; again when it has changed; what they give back is heard."""
    node = nodes.start("--peer-storage=none")
    async with BusService("channels", node.directory) as service:
        await service.join()
        await service.ask("register", channels=[CHANNEL])
        with pytest.raises(BusRefused, match="65532 bytes, and 65531 are the most"):
            await service.ask("store_with_peers", blob=bytes(65_532))
        async with await connect(node) as peer, await connect(node, OTHER_KEY) as stranger:
            await service.taken(node_id=PEER_ID)
            await service.ask("store_with_peers", blob=b"ours")
            assert await peer.hear(PeerStorage) == PeerStorage(b"ours")
            await service.ask("store_with_peers", blob=b"too soon")
            await peer.say(PeerStorageRetrieval(b"ours").encode())
            back = await service.ctl.hear("peer_storage_retrieval")
            assert (back["node_id"], back["blob"]) == (PEER_ID, b"ours")
            assert not any(isinstance(each, PeerStorage) for each in [*await peer.sync(), *await stranger.sync()])
        await gone(node)
        await node.rpc("restart", what="master")
        again = await service.ask("hello", service="channels")
        assert again["ticket"] == service.ticket
        async with await connect(node) as peer:
            await peer.say(PeerStorageRetrieval(LARGEST).encode())
            assert (await service.ctl.hear("peer_storage_retrieval"))["blob"] == LARGEST
            assert not any(isinstance(each, PeerStorage) for each in await peer.sync()), "a minute is not over"
        assert await node.rpc("storewithpeers", service="channels") == {"told": []}
        with pytest.raises(RpcError, match="there is no service 'nobody'"):
            await node.rpc("storewithpeers", service="nobody", blob="00")
