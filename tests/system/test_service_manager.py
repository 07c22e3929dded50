"""What systemd hears of a node: sd_notify(3), by a NOTIFY_SOCKET that is a path, or abstract."""

import asyncio
import os
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness import processes
from tests.harness.node import PROGRAMS, Node, Nodes, RpcError
from tests.harness.ports import free_port
from tests.harness.waiting import until

Word = dict[str, str]
WITHIN = 60.0


class Manager:
    """Hears what is said to `address`, and by which process."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._sock.setblocking(False)
        self._sock.bind("\0" + address[1:] if address.startswith("@") else address)

    def program(self, *more: str) -> list[str | Path]:
        """The node, told of it."""
        return ["/usr/bin/env", f"NOTIFY_SOCKET={self.address}", *more, PROGRAMS / "lightningd-py"]

    async def hear(self, by: int | None = None) -> Word:
        """The next word that is no sign of life. `by`: who must have said it."""
        while "WATCHDOG" in (word := await self.hear_any(by)):
            pass
        return word

    async def hear_any(self, by: int | None = None) -> Word:
        """The next word."""
        found: list[tuple[bytes, int]] = []

        async def heard() -> bool:
            try:
                data, ancillary, _, _ = self._sock.recvmsg(4_096, 64)
            except BlockingIOError:
                return False
            found.append((data, struct.unpack("3i", ancillary[0][2])[0]))
            return True

        await until(heard, "the manager hears nothing", WITHIN)
        data, pid = found[0]
        assert by in (None, pid), f"{pid} says {data!r}"
        return dict(line.split("=", 1) for line in data.decode().split("\n"))

    def close(self) -> None:
        self._sock.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@lightningd-py-{os.getpid()}"
    heard = Manager(address)
    yield heard
    heard.close()


@asynccontextmanager
async def connected(node: Node) -> AsyncIterator[ScriptedPeer]:
    async with await ScriptedPeer.connect(node.target) as peer:
        await peer.sync()
        yield peer
        await peer.sync()


@pytest.mark.long
async def test_from_the_start_to_the_end(nodes: Nodes, manager: Manager) -> None:
    """READY when it listens, RELOADING and READY around a reload, STOPPING; the same process all the while."""
    port = free_port()
    node = nodes.begin(f"--bind-addr=127.0.0.1:{port}", program=manager.program())
    pid = node.process.pid
    assert await manager.hear(pid) == {"READY": "1", "MAINPID": str(pid), "STATUS": "runs on regtest"}
    socket.create_connection(("127.0.0.1", port)).close()
    node.ready()
    async with connected(node):
        gossipd, began = node.pids()["gossipd"], time.monotonic_ns() // 1_000
        node.send_signal(signal.SIGUSR2)
        reloading = await manager.hear(pid)
        assert (reloading["RELOADING"], reloading["STATUS"]) == ("1", "all is being restarted")
        assert began <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1_000
        assert await manager.hear(pid) == {"READY": "1", "MAINPID": str(pid), "STATUS": "all was restarted"}
        assert node.pids()["gossipd"] != gossipd, "READY comes when all is done"
    await node.rpc("stop")
    assert await manager.hear(pid) == {"STOPPING": "1", "STATUS": "the node ends"}
    assert await asyncio.to_thread(node.wait) == 0


async def test_a_reload_that_is_refused(nodes: Nodes, tmp_path: Path) -> None:
    """The operator sees why, and the service is not in the midst of it for ever."""
    manager = Manager(str(tmp_path / "notify"))
    node = nodes.start(program=manager.program())
    await manager.hear()
    config = node.directory / "config"
    config.write_text("no-such-option\n")
    with pytest.raises(RpcError, match="no-such-option"):
        await node.rpc("restart", what="all")
    assert "RELOADING" in await manager.hear()
    said = await manager.hear()
    assert said["READY"] == "1" and "no-such-option" in said["STATUS"]
    config.unlink()
    manager.close()
    await node.rpc("restart", what="all")
    await node.logged(r"UNUSUAL lightningd: the service manager at .* hears nothing of us: Connection refused")


@pytest.mark.long
async def test_signs_of_life(nodes: Nodes, tmp_path: Path) -> None:
    """As often as systemd asks for, and by the next program, too."""
    manager = Manager(str(tmp_path / "notify"))
    node = nodes.start(program=manager.program("WATCHDOG_USEC=100000"))
    for _ in range(2):
        while "READY" not in await manager.hear_any(node.process.pid):
            pass
        for _ in range(3):
            assert await manager.hear_any(node.process.pid) == {"WATCHDOG": "1"}
        node.send_signal(signal.SIGUSR2)
    while "READY" not in await manager.hear_any(node.process.pid):
        pass
    manager.close()


@pytest.mark.long
async def test_it_is_for_no_child(nodes: Nodes, tmp_path: Path) -> None:
    manager = Manager(str(tmp_path / "notify"))
    node = nodes.start(program=manager.program())
    processes.look_into(node.process.pid)
    for _ in range(2):
        children = {name: pid for name, pid in node.pids().items() if pid != node.process.pid}
        assert {"hsmd", "connectd", "gossipd"} <= children.keys()
        for pid in children.values():
            assert b"NOTIFY_SOCKET" not in processes.environment(pid)
        await node.rpc("restart", what="all")
    manager.close()
