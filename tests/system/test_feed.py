"""The feed of whole nodes, and lightning-cli-py feed."""

import asyncio
import json
import shutil
import signal
import subprocess
from collections import Counter
from pathlib import Path

import zmq.auth

from tests.harness.collector import Collector, is_on_disk, kept
from tests.harness.node import NETWORK, PROGRAMS, Node, Nodes
from tests.harness.ports import free_port
from tests.harness.small_map import CHANNELS, NODES
from tests.harness.waiting import until
from wire.bus.feed import PeerConnected, PeerDisconnected, topics_of

MESSAGES = 3 * CHANNELS + NODES


async def taken(node: Node, topics: int) -> None:
    """Wait until so many topics are taken."""

    async def enough() -> bool:
        return bool((await node.rpc("gossipstatus"))["feed_topics"] == topics)

    await until(enough, "subscriptions do not arrive")


async def feed(node: Node, *arguments: str) -> asyncio.subprocess.Process:
    """lightning-cli-py feed, which goes on until it is interrupted."""
    where = (f"--network={NETWORK}", f"--lightning-dir={node.lightning_dir}")
    return await asyncio.create_subprocess_exec(
        PROGRAMS / "lightning-cli-py", *where, "feed", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def interrupted(process: asyncio.subprocess.Process) -> tuple[int | None, list[str], str]:
    """Exit status, lines and complaint of what gets a Ctrl-C."""
    process.send_signal(signal.SIGINT)
    out, error = await process.communicate()
    return process.returncode, out.decode().splitlines(), error.decode()


async def test_a_collector_follows_a_full_sync(nodes: Nodes, small_map_store: Path) -> None:
    """The collector has the store's content, every arrival once, and the peer that brought them."""
    shutil.copy(small_map_store, nodes.directory("l1") / NETWORK / "gossip_store")
    l1, l2 = nodes.start(name="l1"), nodes.start(name="l2")
    shown = await feed(l2, "--json", "peer.")
    await taken(l2, 4)
    read = await feed(l2, "-H", "map.")
    await taken(l2, 10)
    with Collector(l2.directory / "feed") as collector:
        await taken(l2, len(topics_of([b""])))
        await l2.rpc("connect", id=l1.target)
        conn_id = (await l2.peer(l1.node_id))["conn_id"]
        await collector.until(lambda: len({message.raw for message in collector.arrivals}) == MESSAGES)
        await collector.until(lambda: kept(collector).total() == MESSAGES)
        await is_on_disk(collector, l2.directory / "gossip_store")
        await l2.rpc("disconnect", id=l1.node_id, force=True)
        await collector.until(lambda: any(isinstance(message, PeerDisconnected) for message in collector.messages))
        assert isinstance(collector.messages[-1], PeerDisconnected)
        first = Counter(message.raw for message in collector.arrivals if message.outcome != "redundant")
        assert set(first.values()) == {1}
        assert {message.conn_id for message in collector.arrivals} == {conn_id}
        assert {message.outcome for message in collector.arrivals} <= {"new", "waiting", "redundant"}
        came = [message for message in collector.messages if isinstance(message, PeerConnected)]
        assert [(message.node_id.hex(), message.conn_id, message.incoming) for message in came] == [
            (l1.node_id, conn_id, False)
        ]
    gone = json.loads(await read_line(shown, "peer.disconnected"))
    assert (gone["node_id"], gone["conn_id"], gone["seq"]) == (l1.node_id, conn_id, 1)
    assert "unchecked" in await read_line(read, "map.channel_announcement")
    for process in (shown, read):
        status, _, error = await interrupted(process)
        assert (status, error) == (0, "")


async def read_line(process: asyncio.subprocess.Process, word: str) -> str:
    """The first line with this word."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while word not in (line := (await process.stdout.readline()).decode()):
            assert line
    return line


async def test_the_command_ends_with_the_node(nodes: Nodes) -> None:
    node = nodes.start()
    process = await feed(node)
    await taken(node, len(topics_of([b""])))
    node.stop()
    out, error = await process.communicate()
    endpoint = f"ipc://{node.directory}/feed"
    assert (process.returncode, out, error.decode()) == (
        2,
        b"",
        f"lightning-cli-py: the feed on {endpoint} has ended\n",
    )


async def test_a_node_without_a_feed(nodes: Nodes) -> None:
    node = nodes.start("--feed=none")
    assert not (await asyncio.to_thread((node.directory / "feed").exists))
    answer = await node.cli("feed")
    assert (answer.returncode, answer.stderr) == (
        2,
        f"lightning-cli-py: nothing is published on ipc://{node.directory}/feed\n",
    )


async def test_a_file_in_the_feeds_place_stays(nodes: Nodes) -> None:
    """The node does without, and takes nothing away at its end."""
    mine = nodes.directory("l1") / NETWORK / "feed"
    await asyncio.to_thread(mine.write_text, "mine")
    node = nodes.start(name="l1")
    await node.logged("gossipd: no feed: cannot bind")
    node.stop()
    assert await asyncio.to_thread(mine.read_text) == "mine"


async def test_a_directory_too_deep_for_a_feed(nodes: Nodes) -> None:
    """The node does without."""
    node = nodes.start(name="/".join(["deep" * 10] * 3))
    await node.logged("gossipd: no feed: cannot bind .*: its path has [0-9]+ bytes, 107 may be")
    answer = await node.cli("feed")
    assert answer.returncode == 2
    assert "File name too long" in answer.stderr


async def test_the_command_over_tcp(nodes: Nodes, tmp_path: Path) -> None:
    """With a key that was admitted, and server.key beside it."""
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    node = nodes.start(f"--feed={endpoint}")
    zmq.auth.create_certificates(tmp_path, "alice")
    shutil.copy(node.directory / "feed-curve" / "server.key", tmp_path)
    key = f"--feed-key={tmp_path / 'alice.key_secret'}"
    refused = await node.cli(f"--feed={endpoint}", key, "feed")
    assert (refused.returncode, refused.stderr) == (
        2,
        f"lightning-cli-py: {endpoint} refuses this key: its public half is not among the node's clients\n",
    )
    shutil.copy(tmp_path / "alice.key", node.directory / "feed-curve" / "clients")
    process = await feed(node, f"--feed={endpoint}", key, "map.")
    await taken(node, 6)
    status, _, error = await interrupted(process)
    assert (status, error) == (0, "")


async def test_a_key_that_is_none(nodes: Nodes, tmp_path: Path) -> None:
    node = nodes.start()
    answer = await node.cli(f"--feed-key={tmp_path / 'nobody.key_secret'}", "feed")
    assert answer.returncode == 2
    assert "the CURVE keys cannot be used" in answer.stderr
