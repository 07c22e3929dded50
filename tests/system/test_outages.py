"""What the node needs of the machine is not there for a while: fds, a reader of its log, its database."""

import asyncio
import resource

from tests.harness import processes
from tests.harness.node import Nodes


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
    await node.logged("UNUSUAL lightningd: no RPC client can be accepted now: .*Too many open files", start)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    for answer in asyncio.as_completed(asking):
        assert (await answer)["id"] == node.node_id
    assert len([line for line in node.lines if "no RPC client" in line]) == 1
