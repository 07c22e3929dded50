"""websocketd as a process, and peers that come by WebSocket."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess
from tests.harness import processes
from wire.control.control_message import Fd


class Websocketd:
    """The process, our copy of connectd's end of its socket, and its log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.master, masters = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with masters, theirs, log.open("wb") as errors:
            fds = [masters.fileno(), theirs.fileno()]
            argv = [sys.executable, "-P", "-m", "connectd.websocketd", *map(str, fds), "debug"]
            self.process = subprocess.Popen(argv, pass_fds=fds, stderr=errors)

    def fd_for_connectd(self) -> Fd:
        """A copy, as the master gives one to each connectd."""
        return Fd(self.socket.dup().detach())

    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text()

    def fds(self) -> int:
        """How many it has open. Skips the test if we may not know."""
        processes.look_into(self.process.pid)
        return processes.fd_count(self.process.pid)

    def memory(self) -> int:
        """Its resident bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096


@contextlib.contextmanager
def websocketd(log: Path) -> Iterator[Websocketd]:
    """Started; ended by the end of the master's socket."""
    running = Websocketd(log)
    try:
        while "ready" not in running.log():
            time.sleep(0.02)
        yield running
        running.master.close()
        assert running.process.wait(20) == 0, running.log()
        assert "BROKEN" not in running.log(), running.log()
    finally:
        running.master.close()
        running.socket.close()
        running.process.kill()
        running.process.wait()


def url(connectd: ConnectdProcess) -> str:
    """Of connectd's first WebSocket."""
    (binding,) = (text for text in connectd.bindings if text.startswith("ws:"))
    return f"ws://{binding.removeprefix('ws:')}/"


@contextlib.asynccontextmanager
async def web_peer(connectd: ConnectdProcess, privkey: bytes | None = None) -> AsyncIterator[ScriptedPeer]:
    """A peer that has done Noise and INIT over a WebSocket."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    async with connect(url(connectd), compression=None, max_size=None) as client:
        pumps = asyncio.gather(*(pump(client, *await asyncio.open_connection(sock=theirs))))
        async with ScriptedPeer(reader, writer, privkey=privkey, their_id=connectd.node_id) as peer:
            await peer.shake_hands()
            await peer.exchange_init()
            yield peer
        await pumps


def pump(client: ClientConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list:
    """Bytes of the socket as binary messages, and back."""

    async def up() -> None:
        while data := await reader.read(65_536):
            with contextlib.suppress(ConnectionClosedError):
                await client.send(data)
        await client.close()

    async def down() -> None:
        # The peer has had enough, or websocketd has died.
        with contextlib.suppress(ConnectionError, ConnectionClosedError):
            async for message in client:
                assert isinstance(message, bytes)
                writer.write(message)
                await writer.drain()
        writer.close()

    return [up(), down()]
