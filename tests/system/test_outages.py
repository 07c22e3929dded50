"""What the node needs of the machine is not there for a while: fds, a reader of its log, its database."""

import asyncio
import fcntl
import os
import resource
import signal
import sqlite3
import sys
import termios

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness import processes
from tests.harness.moves import owner, ping
from tests.harness.node import Nodes

PAGE = 4_096
"""The least that a pipe holds."""


async def test_no_fds_to_accept_rpc_clients_with(nodes: Nodes) -> None:
    """One line says so; who has connected meanwhile is answered as soon as there are some."""
    node = nodes.start()
    pid, start = node.process.pid, len(node.lines)
    processes.look_into(pid)
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = {int(entry.name) for entry in (processes.PROC / str(pid) / "fd").iterdir()}
    first_free = next(fd for fd in range(len(used) + 1) if fd not in used)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (first_free, before[1]))
    asking = [asyncio.create_task(node.rpc("getinfo")) for _ in range(3)]
    await node.logged("UNUSUAL jsonrpc: no client can be accepted: Too many open files", start)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    for answer in asyncio.as_completed(asking):
        assert (await answer)["id"] == node.node_id
    assert len([line for line in node.lines if "no client can be" in line]) == 1


async def test_a_log_that_is_not_read(nodes: Nodes) -> None:
    """The node and all its daemons go on; the log comes later."""
    node = nodes.start("--log-level=trace")
    pipe = node.process.stdout
    assert pipe is not None
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PAGE)
    node.reads_log.clear()
    start = len(node.lines)
    async with asyncio.timeout(60):
        while not await is_full(pipe.fileno()):
            async with await ScriptedPeer.connect(node.target) as peer:
                await peer.sync()
        for _ in range(3):
            async with await ScriptedPeer.connect(node.target) as peer:
                await peer.sync()
                assert await owner(node, peer) == "gossipd"
                assert await ping(node, peer) == 132
    node.reads_log.set()
    async with await ScriptedPeer.connect(node.target) as last:
        await last.sync()
        await node.logged(f"{last.node_id.hex()}", start)


async def is_full(pipe: int) -> bool:
    """Whether the reader is late."""
    waiting = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return int.from_bytes(waiting, sys.byteorder) > PAGE - 300


async def test_the_log_writer_dies(nodes: Nodes) -> None:
    """Another one goes on with the same file, and the log says so."""
    directory = nodes.directory("l1")
    file = directory / "log"
    node = nodes.start(f"--log-file={file}", "--log-file=-", name="l1")
    writer = node.pids()["log_writer"]
    os.kill(writer, signal.SIGKILL)
    await node.logged(r"UNUSUAL lightningd: log writer has died \(killed by SIGKILL\): it is restarted in 0.25 s")
    await node.logged("lightningd: log writer was restarted")
    assert node.pids()["log_writer"] != writer
    node.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(node.wait) == 0
    assert "log writer was restarted" in file.read_text()


async def test_another_process_holds_the_database(nodes: Nodes) -> None:
    """The loop is not held up, and what must be on the disk is answered when it is."""
    node = nodes.start()
    holder = sqlite3.connect(node.directory / "lightningd-py.sqlite3", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    banning = asyncio.create_task(node.rpc("ban", who="192.0.2.0/24"))
    await node.logged("UNUSUAL database: .* is held by another process: end that; what is to be written waits")
    assert (await node.rpc("getinfo"))["id"] == node.node_id
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
    assert (await node.rpc("listbans"))["bans"] == []
    holder.execute("ROLLBACK")
    holder.close()
    assert (await banning)["who"] == "192.0.2.0/24"
    await node.logged("INFO    database: .* it is written again")
