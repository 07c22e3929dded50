"""Electrum (Debian's package; electrum/peer.py) as a gossip client of our node: by queries, then by a filter.

It answers no queries and passes nothing on, so gossip goes one way. It asks for 500 channels at a time.
"""

import dataclasses
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from tests.harness.node import Node, Nodes
from tests.harness.small_map import write_small_map
from tests.harness.waiting import until
from tests.interop.conftest import WHILE_IT_CHECKS, Program
from wire import secp256k1
from wire.peer_wire import ChannelUpdate, NodeAnnouncement, decode
from wire.scid import scid_to_text

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"
"""Debian's own, for which its packages are."""
CHANNELS, NODES = 1200, 200
CHANGED_FEE = 424242

Electrum = Callable[..., Awaitable[Any]]


@pytest.fixture
def electrum(tmp_path: Path) -> Iterator[Electrum]:
    """`await electrum("connect", target=...)`: the commands of electrum/peer.py."""
    found = subprocess.run([PYTHON, "-c", "import electrum.lnpeer"], capture_output=True, check=False)
    if found.returncode:
        pytest.skip("python3-electrum is not installed")
    (tmp_path / "electrum").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE / "pyln"))
        program = Program(PYTHON, HERE / "electrum/peer.py", tmp_path / "electrum")
    yield program.answer
    program.end()


@pytest.fixture
def known() -> SyntheticMap:
    return SyntheticMap(random_edges(3, CHANNELS, NODES), seed=3, now=int(time.time()))


@pytest.fixture
def node(nodes: Nodes, known: SyntheticMap) -> Node:
    """A node that knows the map."""
    write_small_map(known, nodes.directory() / "regtest" / "gossip_store")
    return nodes.start()


def graph_of(known: SyntheticMap) -> dict[str, Any]:
    """What Electrum should make of the map."""
    messages = [decode(message) for message in known.messages()]
    nodes = [message for message in messages if isinstance(message, NodeAnnouncement)]
    scids, policies = set(), []
    for message in messages:
        if isinstance(message, ChannelUpdate):
            scids.add(scid_to_text(message.short_channel_id))
            policies.append([scid_to_text(message.short_channel_id), message.timestamp, message.fee_base_msat])
    return {
        "channels": sorted(scids),
        "nodes": {node.node_id.hex(): node.alias.rstrip(b"\0").decode() for node in nodes},
        "policies": sorted(policies),
    }


async def graph_heard(electrum: Electrum) -> dict[str, Any]:
    """What Electrum has made of it."""
    graph: dict[str, Any] = await electrum("graph")
    policies = sorted([scid, timestamp, fee] for scid, _, timestamp, fee in graph["policies"])
    return graph | {"policies": policies}


def changed_update(known: SyntheticMap) -> ChannelUpdate:
    """A new update of the first channel, signed."""
    old = decode(next(iter(known.channels())).updates[0])
    assert isinstance(old, ChannelUpdate)
    new = dataclasses.replace(old, timestamp=int(time.time()), fee_base_msat=CHANGED_FEE)
    secrets = map(known.node_secret, known.node_numbers())
    (secret,) = [secret for secret in secrets if secp256k1.verify(*_signed(old, secret))]
    return dataclasses.replace(new, signature=secp256k1.sign(secret, _signed(new, secret)[0]))


def _signed(update: ChannelUpdate, secret: bytes) -> tuple[bytes, bytes, bytes]:
    """What `verify` takes: the digest of an update, its signature, and the key of this secret."""
    return secp256k1.double_sha256(update.encode()[66:]), update.signature, secp256k1.public_key(secret)


@pytest.mark.long
@pytest.mark.bolt("B1-20", "B1-25", "B7-91", "B7-92", "B7-96")
async def test_electrum_syncs_from_us_and_hears_what_changes(
    electrum: Electrum, node: Node, known: SyntheticMap
) -> None:
    await electrum("connect", target=node.target)
    wanted = graph_of(known)

    async def is_whole() -> bool:
        return await graph_heard(electrum) == wanted

    await until(is_whole, "Electrum has not come to know the map", WHILE_IT_CHECKS)
    await electrum("want", first_timestamp=int(time.time()) - 60)
    update = changed_update(known)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(update)
        await peer.sync()

        async def hears() -> bool:
            return CHANGED_FEE in [fee for *_, fee in (await graph_heard(electrum))["policies"]]

        await until(hears, "Electrum has not heard of the change", WHILE_IT_CHECKS)
    assert await electrum("peers") == 1


@pytest.mark.bolt("B7-90")
async def test_electrum_as_it_is_shipped_asks_on(electrum: Electrum, node: Node, known: SyntheticMap) -> None:
    """Electrum packs its queries with zlib, and waits for the end of each answer, whatever warning it reads. We
    answer none of them, but end each; by its filter it comes to know the map.
    """
    await electrum("connect", target=node.target, packed=True)

    async def has_asked_for_all() -> bool:
        return sum("query_short_channel_ids: encoding type 1" in line for line in node.lines) == -(-CHANNELS // 500)

    await until(has_asked_for_all, "Electrum has not asked on", WHILE_IT_CHECKS)
    assert (await electrum("graph"))["channels"] == []
    await electrum("want", first_timestamp=0)
    wanted = graph_of(known)

    async def is_whole() -> bool:
        return await graph_heard(electrum) == wanted

    await until(is_whole, "Electrum has not come to know the map", WHILE_IT_CHECKS)


@pytest.mark.bolt("B7-90")
async def test_electrum_stays_with_us(electrum: Electrum, nodes: Nodes) -> None:
    """A node without gossip answers its queries too; and our pings are answered."""
    node = nodes.start()
    await electrum("connect", target=node.target)

    async def is_listed() -> bool:
        return bool(await node.peers())

    await until(is_listed, "Electrum is no peer of ours")
    ((node_id, peer),) = (await node.peers()).items()
    assert (await node.rpc("ping", id=node_id, len=100, pongbytes=200))["totlen"] == 204
    assert peer["connected"] is True
    assert (await electrum("graph"))["channels"] == []
