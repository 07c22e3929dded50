"""LDK (lightningdevkit from npm, in a node process of its own) as our peer: who dials, who serves, what is counted.

LDK asks for everything by one gossip_timestamp_filter, pings after each 32 messages that it serves, and answers no
query_short_channel_ids. Its relay drops under bursts, so nothing here depends on it.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PROGRAM = Path(__file__).parent / "ldk" / "peer.mjs"
PACKAGES = Path(__file__).parent / "ldk" / "package.json"
LONGEST_LINE = 1 << 24
CHANNELS, NODES = 1000, 300
WHOLE_MAP = {"channels": CHANNELS, "nodes": NODES, "updates": 2 * CHANNELS, "announced_nodes": NODES}

pytestmark = pytest.mark.timeout(120)


class Ldk:
    """One LDK node in a process; each command is a line of JSON, as peer.mjs documents them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.last_id = 0

    @classmethod
    async def start(cls, modules: Path, log: Path) -> "Ldk":
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                "node", PROGRAM, modules, stdin=-1, stdout=-1, stderr=stderr, limit=LONGEST_LINE
            )
        return cls(process)

    async def __call__(self, command: str, *, within: float = 60, **fields: object) -> dict[str, Any]:
        """Raises RuntimeError with LDK's reason, TimeoutError if there is no answer `within` so many seconds."""
        assert self.process.stdin and self.process.stdout
        self.last_id += 1
        request = {"id": self.last_id, "command": command, **fields}
        async with asyncio.timeout(within):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            await self.process.stdin.drain()
            answer = json.loads(await self.process.stdout.readline())
        assert answer["id"] == self.last_id
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return dict(answer["ok"])

    async def listen(self) -> tuple[str, int]:
        """Its node id and port, on 127.0.0.1."""
        answer = await self("listen", port=0)
        return answer["node_id"], answer["port"]

    async def load(self, messages: list[str]) -> None:
        assert await self("add_gossip", messages=messages) == {"added": len(messages), "refused": []}

    async def stop(self) -> None:
        """End of stdin is enough for it to end."""
        assert self.process.stdin
        self.process.stdin.close()
        async with asyncio.timeout(10):
            await self.process.wait()


class Node:
    """One of our nodes on a port of the system's choice, spoken to by its JSON-RPC socket."""

    def __init__(self, process: asyncio.subprocess.Process, directory: Path) -> None:
        self.process = process
        self.socket = directory / "regtest" / "lightning-rpc"

    @classmethod
    async def start(cls, directory: Path) -> "Node":
        with (directory / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "lightningd_py", "--network=regtest", f"--lightning-dir={directory}"),
                *("--bind-addr=127.0.0.1:0", "--developer", "--dev-fast-gossip", "--dev-allow-localhost"),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        node = cls(process, directory)
        await until(node.answers, f"{directory}/log has why the node does not start")
        return node

    async def answers(self) -> bool:
        assert self.process.returncode is None, "the node has ended"
        with contextlib.suppress(OSError):
            await self.rpc("getinfo")
            return True
        return False

    async def rpc(self, method: str, **params: object) -> dict[str, Any]:
        """Raises RuntimeError with the node's error object."""
        reader, writer = await asyncio.open_unix_connection(self.socket, limit=LONGEST_LINE)
        try:
            request = {"jsonrpc": "2.0", "id": method, "method": method, "params": params}
            writer.write(json.dumps(request).encode())
            answer = json.loads(await reader.readuntil(b"\n\n"))
        finally:
            writer.close()
            await writer.wait_closed()
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return dict(answer["result"])

    async def address(self) -> tuple[str, int]:
        """Its node id and port."""
        info = await self.rpc("getinfo")
        return info["id"], info["binding"][0]["port"]

    async def peer(self, node_id: str) -> dict[str, Any]:
        peers = await self.rpc("listpeers", id=node_id)
        return dict(peers["peers"][0])

    async def stop(self) -> None:
        self.process.terminate()
        async with asyncio.timeout(20):
            await self.process.wait()


async def until(reached: Callable[[], Awaitable[bool]], complaint: str, within: float = 60) -> None:
    """For what the other side tells nobody: asks again until it is so."""
    try:
        async with asyncio.timeout(within):
            while not await reached():  # noqa: ASYNC110 - in another process: there is no event to wait for
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(complaint)


def missing(reason: str) -> None:
    """A machine without the part skips; CI has all parts, so there it is a failure."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def modules() -> Path:
    """node_modules with what package.json pins, installed once and kept."""
    if not (shutil.which("npm") and shutil.which("node")):
        missing("LDK comes from npm, and there is no npm here")
    wanted = hashlib.sha256(PACKAGES.read_bytes()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "lightningd-py"
    home = cache / f"ldk-{wanted}"
    if not home.exists():
        cache.mkdir(parents=True, exist_ok=True)
        npm_install(home)
    return home / "node_modules"


def npm_install(home: Path) -> None:
    """Into a directory of its own that is renamed when complete, so that a broken installation is not kept."""
    with tempfile.TemporaryDirectory(dir=home.parent) as temporary:
        complete = Path(temporary) / home.name
        complete.mkdir()
        shutil.copy(PACKAGES, complete)
        command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=complete, capture_output=True, text=True, timeout=110, check=False)
        if done.returncode:
            missing(f"npm install: {done.stderr.strip()}")
        with contextlib.suppress(OSError):  # somebody else was faster
            complete.rename(home)


@pytest.fixture(scope="session")
def synthetic_map(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """A signed map of WHOLE_MAP's size, as raw messages in hex, with timestamps that LDK finds fresh."""
    path = tmp_path_factory.mktemp("map") / "map.hex"
    command = [sys.executable, "-P", "-m", "lightningd_py.synthetic_map", "--hex", str(path)]
    size = [f"--channels={CHANNELS}", f"--nodes={NODES}", "--seed=1"]
    subprocess.run([*command, *size], cwd=ROOT, check=True, timeout=60)
    yield path.read_text().split()


@pytest.fixture
async def start_ldk(modules: Path, tmp_path: Path) -> AsyncIterator[Callable[[], Awaitable[Ldk]]]:
    async with contextlib.AsyncExitStack() as running:

        async def start() -> Ldk:
            ldk = await Ldk.start(modules, tmp_path / "ldk.log")
            running.push_async_callback(ldk.stop)
            return ldk

        yield start


@pytest.fixture
async def ldk(start_ldk: Callable[[], Awaitable[Ldk]]) -> Ldk:
    return await start_ldk()


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    node = await Node.start(tmp_path)
    yield node
    await node.stop()


async def test_two_ldks_sync(start_ldk: Callable[[], Awaitable[Ldk]], synthetic_map: list[str]) -> None:
    """No node of ours: shows that the program under ldk/ does its part, and that LDK takes the synthetic map."""
    server, client = await start_ldk(), await start_ldk()
    await server.load(synthetic_map)
    node_id, port = await server.listen()
    await client("connect", node_id=node_id, host="127.0.0.1", port=port)
    await client("wait", **WHOLE_MAP)


async def test_ldk_dials_us(ldk: Ldk, node: Node) -> None:
    node_id, port = await node.address()
    await ldk("connect", node_id=node_id, host="127.0.0.1", port=port)
    status = await ldk("wait", peers=1)
    assert status["peers"] == [node_id]
    assert (await node.rpc("ping", id=status["node_id"], len=100, pongbytes=200))["totlen"] == 204
    assert (await node.peer(status["node_id"]))["connected"] is True


async def test_we_dial_ldk(ldk: Ldk, node: Node) -> None:
    ldk_id, port = await ldk.listen()
    answer = await node.rpc("connect", id=ldk_id, host="127.0.0.1", port=port)
    assert answer["id"] == ldk_id
    assert answer["direction"] == "out"
    assert (await node.rpc("ping", id=ldk_id, len=100, pongbytes=200))["totlen"] == 204
    assert (await ldk("wait", peers=1))["peers"] == [(await node.address())[0]]


async def test_ldk_hangs_up_and_dials_again(ldk: Ldk, node: Node) -> None:
    node_id, port = await node.address()
    for _ in range(3):
        await ldk("connect", node_id=node_id, host="127.0.0.1", port=port)
        ldk_id = (await ldk("wait", peers=1))["node_id"]
        assert (await node.rpc("ping", id=ldk_id))["totlen"] > 0
        await ldk("disconnect", node_id=node_id)
        await ldk("wait", peers=0)


async def test_ldk_counts_the_map_that_we_serve(ldk: Ldk, node: Node, synthetic_map: list[str]) -> None:
    for message in synthetic_map:
        await node.rpc("addgossip", message=message)
    node_id, port = await node.address()
    await ldk("connect", node_id=node_id, host="127.0.0.1", port=port)
    await ldk("wait", peers=1, **WHOLE_MAP)
    theirs = (await ldk("list_channels"))["channels"]
    ours = (await node.rpc("listchannels"))["channels"]
    assert {scid_text(int(scid)) for scid in theirs} == {channel["short_channel_id"] for channel in ours}


async def test_we_list_the_map_that_ldk_serves(ldk: Ldk, node: Node, synthetic_map: list[str]) -> None:
    await ldk.load(synthetic_map)
    ldk_id, port = await ldk.listen()
    await node.rpc("connect", id=ldk_id, host="127.0.0.1", port=port)

    async def all_listed() -> bool:
        channels = (await node.rpc("listchannels"))["channels"]
        nodes = (await node.rpc("listnodes"))["nodes"]
        return (len(channels), sum("alias" in node for node in nodes)) == (2 * CHANNELS, NODES)

    await until(all_listed, "LDK serves a map that we do not list whole")
    assert (await node.peer(ldk_id))["connected"] is True


async def test_only_what_is_lacking_is_taken(ldk: Ldk, node: Node, synthetic_map: list[str]) -> None:
    """We have the first half of the messages, LDK has the whole map: both end with the whole map."""
    for message in synthetic_map[: len(synthetic_map) // 2]:
        with contextlib.suppress(RuntimeError):  # an update or node whose channel is in the other half
            await node.rpc("addgossip", message=message)
    await ldk.load(synthetic_map)
    ldk_id, port = await ldk.listen()
    await node.rpc("connect", id=ldk_id, host="127.0.0.1", port=port)

    async def all_listed() -> bool:
        return len((await node.rpc("listchannels"))["channels"]) == 2 * CHANNELS

    await until(all_listed, "what we lacked did not come from LDK")


def scid_text(scid: int) -> str:
    return f"{scid >> 40}x{scid >> 16 & 0xFFFFFF}x{scid & 0xFFFF}"
