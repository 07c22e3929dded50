"""Other people's nodes, dialled through a real SOCKS5 proxy: Debian's microsocks."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.connectd.proxies import microsocks
from tests.harness.node import Node, Nodes, RpcError
from tests.interop.conftest import pins
from tests.interop.ldks import PACKAGE, Ldk
from wire.secp256k1 import public_key

NOBODY = public_key(bytes([99]) * 32)
OUR_INIT = "0010" + "0000" + "0002a282" + "0120" + "06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"


@pytest.fixture
def proxy() -> Iterator[str]:
    with microsocks() as address:
        yield address


@pytest.fixture
def node(nodes: Nodes, proxy: str) -> Node:
    """One that reaches everybody through the proxy."""
    return nodes.start(f"--proxy={proxy}", "--always-use-proxy=true")


async def test_pyln(node: Node, pyln: Callable[..., Any]) -> None:
    ask = pyln("peer.py").answer
    node_id, port = await ask("node_id"), await ask("listen")
    connecting = asyncio.create_task(node.rpc("connect", id=node_id, host="localhost", port=port))
    assert await ask("accept") == node.node_id
    await ask("send", messages=[OUR_INIT])
    assert (await connecting)["address"] == {"type": "dns", "address": "localhost", "port": port}
    assert (await node.rpc("ping", id=node_id, len=1000, pongbytes=1000))["totlen"] == 1004


async def test_ldk(node: Node, node_modules: Callable[[Sequence[str]], Path], tmp_path: Path) -> None:
    ldk = await Ldk.start(node_modules(pins(PACKAGE)), tmp_path / "ldk.log")
    try:
        node_id, port = await ldk.listen()
        answer = await node.rpc("connect", id=node_id, host="127.0.0.1", port=port)
        assert answer["direction"] == "out"
        assert (await node.rpc("ping", id=node_id, len=1000, pongbytes=1000))["totlen"] == 1004
    finally:
        await ldk.stop()


async def test_nobody_is_there(node: Node, proxy: str) -> None:
    with pytest.raises(RpcError) as failed:
        await node.rpc("connect", id=NOBODY.hex(), host="127.0.0.1", port=1)
    assert failed.value.code == 401
    (tried,) = failed.value.data["tried"]
    assert tried["error"] == f"proxy {proxy}: Connection refused by destination host"
