"""The example channel_service.py with a real node: what it says to a peer, and what becomes of the connection."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.moves import TEMPORARY_ID, about_channel, opening, owner
from tests.harness.node import Node, Nodes
from tests.harness.waiting import until
from wire.peer_wire import ErrorMessage, WarningMessage

EXAMPLE = Path(__file__).parent.parent.parent / "lightningd_py" / "examples" / "channel_service.py"
CHAIN_AND_ID = 2 + 32 + 32


@pytest.fixture
def node(nodes: Nodes) -> Node:
    return nodes.start()


@pytest.fixture
def refuser(node: Node, tmp_path: Path) -> "Iterator[subprocess.Popen[bytes]]":
    """The example as a process, away from our packages."""
    with subprocess.Popen([sys.executable, "-P", EXAMPLE, node.directory], cwd=tmp_path, stderr=subprocess.PIPE) as it:
        yield it
        it.kill()


async def takes_openings(node: Node) -> bool:
    services = (await node.rpc("listservices"))["services"]
    return any(each["service"] == "refuser" and each["here"] and each["take"] for each in services)


async def nobody_is_here(node: Node) -> bool:
    return list((await node.rpc("listservices"))["services"]) == []


async def is_gossipds(node: Node, peer: ScriptedPeer) -> bool:
    return await owner(node, peer) == "gossipd"


def of_sat(funding_sat: int) -> bytes:
    """An open_channel of this size."""
    message = bytearray(opening())
    message[CHAIN_AND_ID : CHAIN_AND_ID + 8] = funding_sat.to_bytes(8, "big")
    return bytes(message)


async def test_the_example_answers_openings_and_gives_the_peer_back(
    node: Node, refuser: "subprocess.Popen[bytes]"
) -> None:
    await until(lambda: takes_openings(node), "the example takes openings")
    async with await ScriptedPeer.connect(node.target) as peer:
        for funding_sat, reason in ((999_999, b"too small for us"), (1_000_000, b"we have channels enough")):
            await peer.say(of_sat(funding_sat))
            assert await peer.hear(ErrorMessage.number) == ErrorMessage(TEMPORARY_ID, reason)
        await until(lambda: is_gossipds(node, peer), "the connection is given back")
        await peer.say(about_channel(38))
        assert (await peer.hear(WarningMessage)).channel_id == TEMPORARY_ID


async def test_without_the_example_the_nodes_own_answer_comes(node: Node, refuser: "subprocess.Popen[bytes]") -> None:
    await until(lambda: takes_openings(node), "the example takes openings")
    refuser.send_signal(signal.SIGKILL)
    await until(lambda: nobody_is_here(node), "both buses have noticed it")
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(of_sat(5))
        told = ErrorMessage(TEMPORARY_ID, b"no channel can be opened here now")
        assert await peer.hear(ErrorMessage.number) == told


async def test_the_example_says_why_it_ends(node: Node, refuser: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    await until(lambda: takes_openings(node), "the example takes openings")
    again: list[str | Path] = [sys.executable, "-P", EXAMPLE, node.directory]
    second = await asyncio.to_thread(subprocess.run, again, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert (second.returncode, second.stderr) == (1, b"service refuser is here already\n")
    assert node.stop() == 0
    assert refuser.wait(30) == 1
    assert refuser.stderr is not None and refuser.stderr.read() == b"the node ends\n"


@pytest.mark.long
async def test_the_example_goes_on_after_a_restart(node: Node, refuser: "subprocess.Popen[bytes]") -> None:
    """Of connectiond, and of all: it says hello again on each bus, and is asked about the next channel."""
    await until(lambda: takes_openings(node), "the example takes openings")
    for what in ("connectiond", "all"):
        assert (await node.rpc("restart", what=what))["lost"] == 0
        async with await ScriptedPeer.connect(node.target) as peer:
            await peer.say(of_sat(999_999))
            refusal = ErrorMessage(TEMPORARY_ID, b"too small for us")
            assert await peer.hear(ErrorMessage) == refusal
    assert refuser.poll() is None
