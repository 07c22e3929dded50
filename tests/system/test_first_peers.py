"""A node that knows nobody finds its first peers: by a DNS seed on loopback, or in a file."""

import asyncio
from pathlib import Path

import pytest

from connectd.reach.seeds import ALIAS
from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.dns_server import DnsServer, label_of
from tests.harness.node import Nodes

SEED = "seed.example"
WANTED = "--autoconnect-seeker-peers=1"


@pytest.mark.parametrize("way", ["seed", "file"])
async def test_first_peer(nodes: Nodes, tmp_path: Path, way: str) -> None:
    async with await ScriptedPeer.listen() as listener:
        label, (host, _, port) = label_of(listener.node_id), listener.address.rpartition(":")
        zone = {(f"{ALIAS}.{SEED}", "SRV"): [f"1 1 {port} {label}.{SEED}."], (f"{label}.{SEED}", "A"): [host]}
        peers = tmp_path / "peers"
        peers.write_text(f"{listener.target}\n" if way == "file" else "")
        async with DnsServer(zone if way == "seed" else {}).running() as server:
            seeds = (f"--dns-seed={SEED}", f"--dev-dns-server={server.address}")
            node = nodes.start(WANTED, *seeds, f"--fallback-peers={peers}")
            async with await listener.accept() as peer:
                await peer.sync()
                assert (await node.peer(listener.node_id))["direction"] == "out"
            assert f"{ALIAS}.{SEED} SRV" in server.asked


async def test_who_has_been_connected_asks_nobody(nodes: Nodes) -> None:
    async with DnsServer({}).running() as server, await ScriptedPeer.listen() as listener:
        node = nodes.start()
        connecting = asyncio.create_task(node.rpc("connect", id=listener.target))
        async with await listener.accept():
            await connecting
        node.process.terminate()
        assert node.wait() == 0
        again = nodes.start(WANTED, f"--dns-seed={SEED}", f"--dev-dns-server={server.address}", name="l1")
        await again.rpc("getinfo")
        assert server.asked == []
        assert "asking" not in again.log
