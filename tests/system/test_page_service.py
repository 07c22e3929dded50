"""`--web-addr`: the page is a process of the node, shows it, starts again when it dies, and ends with it."""

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from typing import Any

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import Node, Nodes
from tests.harness.small_map import make_small_map
from tests.harness.waiting import until

BEGINS = r"service page: .*the page is at (http://\S+)/"


async def address(node: Node, before: int = 0) -> str:
    await node.logged(BEGINS, before)
    (found,) = [line.partition("the page is at ")[2] for line in node.lines[before:] if "the page is at " in line]
    return found.split("/,")[0].rstrip("/")


def ask(url: str, **headers: str) -> Any:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


@pytest.mark.long
async def test_page_belongs_to_the_node(nodes: Nodes) -> None:
    node = nodes.start("--web-addr=127.0.0.1:0", "--alias=east")
    url = await address(node)
    figures = await asyncio.to_thread(ask, f"{url}/api/figures")
    assert figures["info"]["alias"] == "east" and figures["status"]["channels"] == 0

    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.say(*list(make_small_map().messages())[:30])
        await peer.sync()

        async def is_shown() -> bool:
            found = await asyncio.to_thread(ask, f"{url}/api/map")
            return len(found["channels"]["scid"]) == 10

        await until(is_shown, "the map has not its 10 channels")

        async def is_listed() -> bool:
            peers = (await asyncio.to_thread(ask, f"{url}/api/figures"))["peers"]
            return [each["id"] for each in peers] == [peer.node_id.hex()]

        await until(is_listed, "the peer is not listed")

    first, before = node.pids()["observatory"], len(node.lines)
    os.kill(first, signal.SIGKILL)
    await node.logged(r"the page has ended with -9: it is started again in 1 s", before)
    url = await address(node, before)
    assert (await asyncio.to_thread(ask, f"{url}/api/about"))["map"]

    before = len(node.lines)
    await node.rpc("restart", what="master")
    await address(node, before)
    assert len(node.pids_of("observatory")) == 1


async def test_token_is_in_the_nodes_directory(nodes: Nodes) -> None:
    node = nodes.start("--web-addr=0.0.0.0:0")
    url = (await address(node)).replace("0.0.0.0", "127.0.0.1")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        await asyncio.to_thread(ask, f"{url}/api/about")
    token = (node.directory / "web-token").read_text().strip()
    assert (await asyncio.to_thread(ask, f"{url}/api/about", Authorization=f"Bearer {token}"))["node"]
    assert token not in "".join(node.lines)
