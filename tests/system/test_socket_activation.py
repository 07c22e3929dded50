"""The node as systemd starts it with socket activation: the port is open before it runs, and it listens there."""

import sys
from pathlib import Path

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import PROGRAMS, Nodes
from tests.harness.ports import free_port

ACTIVATE = """
import os, socket, sys
sock = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(sock.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""
"""As systemd does it."""


async def test_it_listens_where_systemd_does(nodes: Nodes, tmp_path: Path) -> None:
    """What --bind-addr names is not bound again; a second connectd has it, too."""
    port = free_port()
    script = tmp_path / "activate.py"
    script.write_text(ACTIVATE)
    program = [sys.executable, script, str(port), PROGRAMS / "lightningd-py"]
    node = nodes.start(f"--bind-addr=127.0.0.1:{port}", program=program)
    assert node.bindings[0] == f"127.0.0.1:{port}"
    for _ in range(2):
        async with await ScriptedPeer.connect(node.target) as peer:
            await peer.sync()
        await node.rpc("restart", what="connectd")
