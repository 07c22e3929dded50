"""A service's program has channel_announcements signed, if it may; the key stays in hsmd."""

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.gossipd.messages import announcement
from tests.harness.node import Node, Nodes
from tests.system.test_secrets import may_read_memory, who_holds_the_key
from wire.peer_wire import ChannelAnnouncement
from wire.secp256k1 import double_sha256, verify

ECHO, FAILED = 0x8001, 0x8003
OF_US, OF_NOBODY = b"\x9c\x41", b"\x9c\x43"
"""40001 is taken by the service that may sign, 40003 by the one that may not."""
PROGRAM = Path(__file__).parent.parent / "harness" / "signing_service.py"
COMMAND = shlex.join([sys.executable, "-P", str(PROGRAM)])


@pytest.fixture(scope="module")
def node(shared_nodes: Nodes) -> Node:
    return shared_nodes.start(
        f"--service=signer={COMMAND}",
        f"--service=other={COMMAND}",
        "--take=signer=40001",
        "--take=other=40003",
        "--may-sign=signer",
    )


def of_us(node: Node) -> bytes:
    """One whose signatures are all missing, and whose second node we are."""
    theirs = ChannelAnnouncement.decode(announcement(0))
    fields = {name: getattr(theirs, name) for name in ("features", "chain_hash", "short_channel_id", "node_id_1")}
    keys: dict[str, Any] = {"node_id_2": bytes.fromhex(node.node_id), "bitcoin_key_1": theirs.node_id_1}
    none: dict[str, Any] = dict.fromkeys(
        ("node_signature_1", "node_signature_2", "bitcoin_signature_1", "bitcoin_signature_2"), bytes(64)
    )
    return ChannelAnnouncement(**none, **fields, **keys, bitcoin_key_2=theirs.node_id_2).encode()


async def test_who_may_gets_a_valid_signature(node: Node) -> None:
    """Again and again, also after something that is refused; and hsmd keeps no socket of programs that have gone."""
    ours = of_us(node)
    async with await ScriptedPeer.connect(node.target) as peer:
        for _ in range(3):
            await peer.say(OF_US + ours)
            signature = (await peer.hear(ECHO)).encode()[2:]
            assert verify(double_sha256(ours[258:]), signature, bytes.fromhex(node.node_id))
            await peer.say(OF_US + announcement(0))
            refused = (await peer.hear(FAILED)).encode()[2:]
            assert refused == b"the channel_announcement is of other nodes"
    await node.be_alone()


async def test_who_may_not_is_told_how_it_could(node: Node) -> None:
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(OF_NOBODY + of_us(node))
        told = (await peer.hear(FAILED)).encode()[2:]
        assert told == b"the node does not sign for other: start it with --may-sign=other"
    await node.be_alone()


async def test_the_key_stays_where_it_is(node: Node) -> None:
    may_read_memory()
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(OF_US + of_us(node))
        await peer.hear(ECHO)
        pids = node.pids()
        assert "py" in pids, "the program runs while its memory is searched"
        assert who_holds_the_key(node) == [pids["hsmd"]]
    await node.be_alone()
