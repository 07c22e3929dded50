"""`make demo`: the main job on two nodes on loopback, told step by step. Needs no network; leaves nothing running.

It exits with 0 only if everything that it tells has been seen.
"""

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from gossipd.store.writer import GossipStore
from lightningd_py.tools.feed_client import Feed
from lightningd_py.tools.scripted_peer import ScriptedPeer
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges
from wire.bus.feed import FeedError, Gossip
from wire.peer_wire import ErrorMessage
from wire.types import NETWORKS

CHANNELS, NODES, SEED = 1_000, 300, 1
STEP_TIME = 30.0
"""Seconds for each step; each takes one or two."""
EXAMPLES = Path(__file__).parents[1] / "examples"
REFUSER, BUS_REFUSER = EXAMPLES / "refuse_channels.py", EXAMPLES / "channel_service.py"
TEMPORARY_CHANNEL_ID = bytes([0xC0]) * 32


class NotSeen(Exception):
    """Something that the demo is about did not happen."""


class DemoNode:
    """One `lightningd-py`, in a directory of its own."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.place = [f"--lightning-dir={directory}", "--network=regtest"]
        self._log = directory / "log"

    async def start(self, *options: str) -> None:
        """Start it and wait until it listens."""
        self.process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-P", "-m", "lightningd_py", *self.place, f"--alias={self.name}"],
            *["--bind-addr=127.0.0.1:0", "--developer", "--dev-fast-gossip", "--dev-allow-localhost", *options],
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self._lines: list[str] = []
        while line := (await self.process.stdout.readline()).decode():
            self._lines.append(line)
            if "listens on" in line:
                break
        else:
            raise NotSeen(f"{self.name} did not start:\n{''.join(self._lines)}")
        self._reader = asyncio.create_task(self._keep_log(self.process.stdout))
        info = await self.call("getinfo")
        self.target = f"{info['id']}@127.0.0.1:{info['binding'][0]['port']}"
        say(f"{self.name} runs as process {self.process.pid}: {self.target}")

    async def _keep_log(self, stream: asyncio.StreamReader) -> None:
        while line := (await stream.readline()).decode():
            self._lines.append(line)

    async def call(self, *words: str) -> Any:
        """A method of the node through `lightning-cli-py`, as JSON."""
        return json.loads(await self._cli("--json", *words))

    async def show(self, *words: str, most: int = 8) -> None:
        """The same as a person sees it in a terminal."""
        print(f"\n  $ lightning-cli-py {' '.join(words)}        # {self.name}")
        lines = (await self._cli("-H", *words)).splitlines()
        for line in lines[:most]:
            print(f"    {line[:116]}")
        if len(lines) > most:
            print(f"    ... and {len(lines) - most} lines more")

    async def _cli(self, *words: str) -> str:
        command = [sys.executable, "-P", "-m", "lightningd_py.cli", *self.place, *words]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(STEP_TIME):
            out, _ = await process.communicate()
        if process.returncode:
            raise NotSeen(f"lightning-cli-py {' '.join(words)} failed: {out.decode()}")
        return out.decode()

    async def end(self) -> None:
        """Stop it; kill it if it does not stop."""
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(STEP_TIME):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        await self._reader
        broken = [line for line in self._lines if "BROKEN" in line]
        if broken or self.process.returncode:
            raise NotSeen(f"{self.name} ended with {self.process.returncode}:\n{''.join(broken)}")


def say(text: str) -> None:
    """One line of the story."""
    print(f"* {text}", flush=True)


def write_map(path: Path) -> int:
    """A validly signed map as a gossip_store; returns how many messages it has."""
    store = GossipStore.open(path)
    SyntheticMap(random_edges(SEED, CHANNELS, NODES), SEED, int(time.time())).write_store(store)
    store.close()
    return CHANNELS * 3 + NODES


async def synced(node: DemoNode) -> None:
    """Wait until the whole map has come, and show how it comes."""
    began = time.monotonic()
    while True:
        counts = await node.call("gossipstatus")
        done = counts["accepted"]
        say(f"  {node.name}: {counts['channels']} channels, {counts['nodes']} nodes, {done} messages accepted")
        if (counts["channels"], counts["nodes"], done) == (CHANNELS, NODES, CHANNELS * 3 + NODES):
            break
        if time.monotonic() - began > STEP_TIME:
            raise NotSeen(f"the map did not arrive: {counts}")
        await asyncio.sleep(0.2)
    if counts["bad"]:
        raise NotSeen(f"{counts['bad']} messages of a valid map were refused")


def count_arrivals(feed: Feed) -> None:
    """What bob's feed has told of each message of the map: one word, and none is missing."""
    outcomes: Counter[str] = Counter()
    while outcomes.total() < CHANNELS * 3 + NODES:
        message = feed.next(STEP_TIME)
        if not isinstance(message, Gossip):
            raise NotSeen(f"the feed has told of {outcomes.total()} messages only")
        outcomes[message.outcome] += 1
    if feed.lost:
        raise NotSeen(f"the feed has lost {feed.lost} messages")
    words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    say(f"bob's feed has told of each message as it came: {words}")


async def open_channel(node: DemoNode, way: list[str]) -> None:
    """A peer asks for a channel: who owns it, when, and by which message."""
    peer = await ScriptedPeer.connect(node.target)
    try:
        await peer.sync()
        say(f"a scripted peer {peer.node_id.hex()[:16]}... connects to {node.name}; it pings, and says open_channel")
        await peer.say(bytes.fromhex("0020") + NETWORKS["regtest"] + TEMPORARY_CHANNEL_ID + bytes(223))
        refusal = await peer.hear(ErrorMessage)
        if refusal.channel_id != TEMPORARY_CHANNEL_ID:
            raise NotSeen("the error is for another channel")
        say(f"it hears: error for channel {refusal.channel_id.hex()[:8]}...: {refusal.text()!r}")
        listed = await given_back(node, peer)
        say("and a ping later it is still connected. Who owned the connection, and how it got there:")
        first = listed["moves"][0]["at"]
        for move in listed["moves"]:
            print(f"    {(move['at'] - first) * 1000:7.1f} ms   {move['message']:26} -> {move['owner']}")
        owners = [move["owner"] for move in listed["moves"]]
        if owners != way:
            raise NotSeen(f"the connection went another way: {owners}")
    finally:
        await peer.close()


async def given_back(node: DemoNode, peer: ScriptedPeer) -> Any:
    """Its entry in listpeers, when gossipd has it again and answers its pings."""
    began = time.monotonic()
    while True:
        await peer.sync()
        (listed,) = (await node.call("listpeers", peer.node_id.hex()))["peers"]
        if listed["owner"] == "gossipd":
            return listed
        if time.monotonic() - began > STEP_TIME:
            raise NotSeen(f"{listed['owner']} has not given the peer back")


@contextlib.asynccontextmanager
async def bus_service(node: DemoNode) -> AsyncIterator[None]:
    """The example of docs/bus.md on the buses of a node, from when it takes connections."""
    network_dir = node.directory / "regtest"
    service = await asyncio.create_subprocess_exec(sys.executable, "-P", str(BUS_REFUSER), str(network_dir))
    try:
        began = time.monotonic()
        while not any(each["take"] for each in (await node.call("listservices"))["services"] if each["here"]):
            if time.monotonic() - began > STEP_TIME:
                raise NotSeen("the bus service has not come")
        say(f"{BUS_REFUSER.name} runs as process {service.pid}: pyzmq and msgpack, on the buses of {node.name}")
        yield
    finally:
        service.kill()
        await service.wait()


@contextlib.asynccontextmanager
async def nodes(directory: Path) -> AsyncIterator[tuple[DemoNode, DemoNode]]:
    """Both nodes, started and ended."""
    alice, bob = DemoNode("alice", directory / "alice"), DemoNode("bob", directory / "bob")
    service = f"--service=refuser={sys.executable} {REFUSER}"
    async with contextlib.AsyncExitStack() as stack:
        for node, options in ((alice, [service, "--take=refuser=open_channel"]), (bob, [])):
            await node.start(*options)
            stack.push_async_callback(node.end)
        yield alice, bob


async def story(directory: Path) -> None:
    """All of it."""
    store = directory / "alice" / "regtest" / "gossip_store"
    store.parent.mkdir(parents=True, mode=0o700)
    messages = write_map(store)
    say(f"a map of {CHANNELS} channels and {NODES} nodes is made and signed: {messages} messages for alice's store")
    async with nodes(directory) as (alice, bob):
        say("bob connects to alice, and asks for her gossip")
        with Feed(bob.directory / "regtest" / "feed", ["gossip."]) as feed:
            connected = await bob.call("connect", alice.target)
            if connected["direction"] != "out":
                raise NotSeen(f"connect said {connected}")
            await synced(bob)
            count_arrivals(feed)
        for node in (alice, bob):
            await node.show("getinfo", most=9)
            await node.show("listpeers")
        await bob.show("listnodes", most=5)
        await bob.show("listchannels", most=5)
        print()
        say("alice has a program for channels: it is started with the connection on its fd")
        await open_channel(alice, ["gossipd", "master", "refuser", "master", "gossipd"])
        async with bus_service(bob):
            await open_channel(bob, ["gossipd", "master", "refuser", "master", "gossipd"])
    say("both nodes have ended, with exit status 0 and nothing BROKEN in their logs")


def main() -> int:
    """Tell the story in a directory that goes away with it."""
    began = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="lightningd-py-demo-"))
    try:
        asyncio.run(story(directory))
    except (NotSeen, FeedError, OSError, TimeoutError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    say(f"seen in {time.monotonic() - began:.1f} s; nothing is left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
