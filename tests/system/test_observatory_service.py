"""`--record`: the recorder is a process of the node, and starts again when it dies."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import Node, Nodes
from tests.harness.observatories import arrivals_of, until
from tests.harness.small_map import make_small_map
from tests.system.test_metrics import scrape, value
from tests.system.test_observatory import is_taken

BEGINS = "service recorder: .*east is recorded into"


async def said(node: Node, folder: Path, messages: list[bytes], total: int) -> None:
    """Said, and recorded."""
    await is_taken(node)
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(*messages)
        await peer.sync()
    await asyncio.to_thread(until, lambda: arrivals_of(folder).total() == total, f"{total} arrivals")


@pytest.mark.long
async def test_recorder_belongs_to_the_node(nodes: Nodes) -> None:
    messages = list(make_small_map().messages())
    node = nodes.start("--record=history", "--alias=east", "--metrics-addr=127.0.0.1:0")
    folder = node.directory / "history"
    await node.logged(BEGINS)
    await said(node, folder, messages[:10], 10)
    assert {vantage for vantage, _, _ in arrivals_of(folder)} == {"east"}

    first, before = node.pids()["observatory"], len(node.lines)
    os.kill(first, signal.SIGKILL)
    await node.logged(r"the recorder has ended with -9: it is started again in 1 s", before)
    await node.logged(BEGINS, before)
    assert node.pids()["observatory"] != first
    await said(node, folder, messages[10:20], 20)

    page = await scrape(node)
    assert value(page, "process_up", daemon="recorder") == 1
    assert value(page, "process_resident_bytes", daemon="recorder") > 1_000_000
    assert value(page, "process_cpu_seconds_total", daemon="recorder") > 0

    before = len(node.lines)
    await node.rpc("restart", what="master")
    await node.logged(BEGINS, before)
    await said(node, folder, messages[20:30], 30)
    assert len(node.pids_of("observatory")) == 1
