"""The node as systemd starts it with socket activation: the port is open before it runs, and it listens there."""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.crowd import OPTIONS
from tests.harness.node import PROGRAMS, Node, Nodes
from tests.harness.pinger import Pinger
from tests.system.test_service_manager import Manager

ACTIVATE = """
import os, socket, sys
sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(sock.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""
"""As systemd does it."""
RELOADS = 2


def activated(tmp_path: Path, port: int, program: list[str | Path]) -> list[str | Path]:
    """The program with a listening socket."""
    script = tmp_path / "activate.py"
    script.write_text(ACTIVATE)
    return [sys.executable, script, str(port), *program]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


async def test_it_listens_where_systemd_does(nodes: Nodes, tmp_path: Path) -> None:
    """What --bind-addr names is not bound again; a second connectd has it, too."""
    port = free_port()
    program = activated(tmp_path, port, [PROGRAMS / "lightningd-py"])
    node = nodes.start(f"--bind-addr=127.0.0.1:{port}", program=program)
    assert node.bindings[0] == f"127.0.0.1:{port}"
    for _ in range(2):
        async with await ScriptedPeer.connect(node.target) as peer:
            await peer.sync()
        await node.rpc("restart", what="connectd")


async def reload(node: Node, manager: Manager, pid: int) -> None:
    """As `systemctl reload` does it: SIGUSR2, and what systemd waits for."""
    node.send_signal(signal.SIGUSR2)
    said = await manager.hear(pid)
    assert (said["RELOADING"], said["MONOTONIC_USEC"].isdecimal()) == ("1", True)
    said = await manager.hear(pid)
    assert (said["READY"], said["MAINPID"], said["STATUS"]) == ("1", str(pid), "all was restarted")


@pytest.mark.long
async def test_reload_of_a_node_with_systemds_socket(nodes: Nodes, tmp_path: Path) -> None:
    """Both together, as the units of the wheel have it: strangers come to that socket all the while and are served,
    a peer stays, and the process that systemd knows is the same one after each reload.
    """
    manager = Manager(f"@lightningd-py-activated-{os.getpid()}")
    port = free_port()
    program = activated(tmp_path, port, manager.program())
    node = nodes.start(f"--bind-addr=127.0.0.1:{port}", *OPTIONS, program=program)
    pid = node.process.pid
    assert await manager.hear(pid) == {"READY": "1", "MAINPID": str(pid), "STATUS": "runs on regtest"}
    pinger = Pinger(await ScriptedPeer.connect(node.target))
    came, enough = 0, asyncio.Event()

    async def come() -> None:
        nonlocal came
        while not enough.is_set():
            async with await ScriptedPeer.connect(node.target, timeout=60.0) as stranger:
                await stranger.sync(60.0)
            came += 1

    coming = asyncio.create_task(come())
    for _ in range(RELOADS):
        before, children = came, node.pids()
        await reload(node, manager, pid)
        await pinger.goes_on()
        after = node.pids()
        assert all(after[name] != children[name] for name in ("hsmd", "connectd", "gossipd", "listingd"))
        assert came > before
    enough.set()
    await coming
    await pinger.end()
    manager.close()
