"""Onion messages of LDK's OnionMessenger (lightningdevkit from npm): two of them reach each other through us, and one
asks services of this node, in Python and in JavaScript.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.harness.bus_client import BusService
from tests.harness.node import Node, Nodes
from tests.interop import javascript_services
from tests.interop.conftest import pins
from tests.interop.javascript_services import JavaScriptService
from tests.interop.ldks import PACKAGE, Ldk

ALIAS = 16_000_001 << 40 | 1 << 16
TYPE = 4243

StartLdk = Callable[[], Awaitable[Ldk]]


@pytest.fixture(scope="session")
def modules(node_modules: Callable[[Sequence[str]], Path]) -> Path:
    """node_modules with what package.json pins."""
    return node_modules(pins(PACKAGE))


@pytest.fixture
def javascript(node_modules: Callable[[Sequence[str]], Path]) -> Iterator[JavaScriptService]:
    with JavaScriptService.started(node_modules(pins(javascript_services.PACKAGE))) as service:
        yield service


@pytest.fixture
async def start_ldk(modules: Path, tmp_path: Path) -> AsyncIterator[StartLdk]:
    async with contextlib.AsyncExitStack() as running:

        async def start() -> Ldk:
            ldk = await Ldk.start(modules, tmp_path / "ldk.log", "onions")
            running.push_async_callback(ldk.stop)
            return ldk

        yield start


async def joined(ldk: Ldk, node: Node) -> str:
    """Connect it to the node: its node_id."""
    await ldk.connect(node.node_id, node.port)
    await ldk("wait", peers=1)
    return str((await ldk("status"))["node_id"])


async def heard(ldk: Ldk, count: int) -> dict[str, Any]:
    """The last of so many messages."""
    await ldk("wait", onions=count)
    return dict((await ldk("onions"))["heard"][-1])


@pytest.mark.long
@pytest.mark.bolt("B4-120", "B4-121", "B4-127", "B4-131")
async def test_two_ldks_reach_each_other(nodes: Nodes, start_ldk: StartLdk) -> None:
    node = nodes.start("--onion-messages=all")
    alice, bob = await start_ldk(), await start_ldk()
    ids = [await joined(ldk, node) for ldk in (alice, bob)]
    us = node.node_id
    # by node id, in both directions
    for number, (sender, receiver, node_id) in enumerate(((alice, bob, ids[1]), (bob, alice, ids[0])), 1):
        await sender("send_onion", text=f"hello {number}", via=[us], node_id=node_id)
        assert await heard(receiver, 1) == {"text": f"hello {number}", "context": None}
    # along a blinded path with us as its introduction node, and back along another one
    there = await bob("onion_path", via=us, scid=None, context="bob's")
    back = await alice("onion_path", via=us, scid=None, context="alice's")
    await alice("send_onion", text="?how", via=[], path=there["path"], reply_path=back["path"])
    assert await heard(bob, 2) == {"text": "?how", "context": "bob's"}
    assert await heard(alice, 2) == {"text": "!how", "context": "alice's"}
    # and by a channel's alias instead of the node's id
    async with BusService("channels", node.directory) as service:
        await service.join()
        channel = {"channel_id": b"\1" * 32, "node_id": bytes.fromhex(ids[1]), "short_channel_id": ALIAS}
        await service.ask("register", channels=[channel])
        short = await bob("onion_path", via=us, scid=str(ALIAS), context="short")
        await alice("send_onion", text="by scid", via=[], path=short["path"])
        assert await heard(bob, 3) == {"text": "by scid", "context": "short"}


@pytest.mark.bolt("B4-123", "B4-124", "B4-127")
async def test_services_and_an_ldk(nodes: Nodes, start_ldk: StartLdk, javascript: JavaScriptService) -> None:
    """LDK asks along a path that a service has made, and gets its answer along its own."""
    node = nodes.start("--onion-messages=all")
    ldk = await start_ldk()
    node_id = await joined(ldk, node)
    async with BusService("shop", node.directory) as shop:
        await shop.join()
        await shop.ask("register", onion_messages=[TYPE])
        offered = await shop.ask("make_blinded_path", context=b"offer 1")
        back = await ldk("onion_path", via=node.node_id, scid=None, context="mine")
        await ldk("send_onion", text="price?", via=[], path=offered["path"].hex(), reply_path=back["path"])
        asked = await shop.ctl.hear("onion_message")
        assert asked["fields"] == [{"type": TYPE, "value": b"price?"}]
        assert (asked["own_path"], asked["context"]) == (True, b"offer 1")
        answer = [{"type": TYPE, "value": b"100"}]
        await shop.ask("send_onion_message", path=asked["reply_path"], fields=answer)
        assert await heard(ldk, 1) == {"text": "100", "context": "mine"}
        await shop.ask("send_onion_message", node_ids=[bytes.fromhex(node_id)], fields=answer)
        assert await heard(ldk, 2) == {"text": "100", "context": None}
        # a service in JavaScript has the same types, and a path of its own
        await javascript.join(node, "javascript")
        offered = await javascript("sell", onion_messages=[TYPE], context="offer 2")
        await ldk("send_onion", text="price?", via=[], path=offered["path"], reply_path=back["path"])
        assert await heard(ldk, 3) == {"text": "price? offer 2: 100", "context": "mine"}
        await ldk("send_onion", text="to all", via=[], node_id=node.node_id, reply_path=back["path"])
        assert await heard(ldk, 4) == {"text": "to all of no path of ours: 100", "context": "mine"}
        assert (await shop.ctl.hear("onion_message"))["fields"] == [{"type": TYPE, "value": b"to all"}]
