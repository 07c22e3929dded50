"""Services that only want to hear: a program that gets copies, while the connections stay where they are."""

import shlex
import sys
from pathlib import Path

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import Nodes

LISTENER = """
import sys
from wire.program import copies
for copy in copies():
    print("heard", copy.message.hex(), "of", copy.node_id.hex()[:8], file=sys.stderr, flush=True)
    if copy.message.hex().endswith("dead"):
        raise SystemExit(3)
print("the node has ended", file=sys.stderr, flush=True)
"""


def service(tmp_path: Path) -> str:
    script = tmp_path / "listener.py"
    script.write_text(LISTENER)
    return f"--service=ear={shlex.join([sys.executable, '-P', str(script)])}"


async def test_copies_go_to_a_program_and_the_peer_stays(nodes: Nodes, tmp_path: Path) -> None:
    node = nodes.start(service(tmp_path), "--copy=ear=onion_message,32769")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(bytes.fromhex("0201cafe"), bytes.fromhex("8001beef"), bytes.fromhex("8003aaaa"))
        await peer.sync()
        await node.logged("heard 0201cafe of " + peer.node_id.hex()[:8])
        await node.logged("heard 8001beef")
        (listed,) = (await node.rpc("listpeers"))["peers"]
        assert [move["owner"] for move in listed["moves"]] == ["gossipd"]
        assert "8003aaaa" not in node.log


async def test_program_that_dies_is_said_and_hurts_nobody(nodes: Nodes, tmp_path: Path) -> None:
    node = nodes.start(service(tmp_path), "--copy=ear=32769")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(bytes.fromhex("8001dead"))
        await node.logged("service ear, which gets copies, exited with 3")
        await peer.say(bytes.fromhex("80010001"), bytes.fromhex("80010002"))
        await peer.sync()
        await node.logged("heard 80010002")  # by the next one, which is started in a moment
        assert "heard 80010001" in node.log
        assert "lost" not in node.log


async def test_program_that_cannot_be_started(nodes: Nodes) -> None:
    node = nodes.start("--service=ear=/no/such/program", "--copy=ear=32769")
    await node.logged("service ear cannot be started")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(bytes.fromhex("80010001"))
        await peer.sync()
