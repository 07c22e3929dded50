"""websocketd as a process, and peers that come by WebSocket."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.connectd.connectd_process import ConnectdProcess
from tests.harness import processes
from wire.control.control_message import Fd
from wire.control.control_socket import send_message
from wire.control.control_wire import NewConnectdLink

WEB = ["127.0.0.1:0", "ws:127.0.0.1:0"]
"""Where a connectd with WebSockets listens."""


class Websocketd:
    """The process, and its log."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self.master, masters = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with masters, log.open("wb") as errors:
            argv = [sys.executable, "-P", "-m", "connectd.websocketd", str(masters.fileno()), "debug"]
            self.process = subprocess.Popen(argv, pass_fds=[masters.fileno()], stderr=errors)

    def fd_for_connectd(self) -> Fd:
        """The end of a new link, as the master makes one for each connectd."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        send_message(self.master, NewConnectdLink(Fd(theirs.detach())))
        return Fd(ours.detach())

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
        assert running.process.wait(60) == 0, running.log()
        assert "BROKEN" not in running.log(), running.log()
    finally:
        running.master.close()
        running.process.kill()
        running.process.wait()


def url(connectd: ConnectdProcess) -> str:
    """Of connectd's first WebSocket."""
    (binding,) = (text for text in connectd.bindings if text.startswith("ws:"))
    return f"ws://{binding.removeprefix('ws:')}/"


@contextlib.asynccontextmanager
async def web_peer(
    connectd: ConnectdProcess,
    privkey: bytes | None = None,
    *,
    headers: dict[str, str] | None = None,
    source: str = "127.0.0.1",
) -> AsyncIterator[ScriptedPeer]:
    """A peer that has done Noise and INIT over a WebSocket; `headers` are a proxy's, `source` the address it is at."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    where = connect(
        url(connectd), compression=None, max_size=None, additional_headers=headers or {}, local_addr=(source, 0)
    )
    async with where as client:
        pumps = asyncio.gather(*(pump(client, *await asyncio.open_connection(sock=theirs))))
        async with ScriptedPeer(reader, writer, privkey=privkey, their_id=connectd.node_id) as peer:
            await peer.shake_hands()
            await peer.exchange_init()
            yield peer
        await pumps


def pump(
    client: ClientConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> list[Coroutine[Any, Any, None]]:
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


async def silent(connectd: ConnectdProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = connectd.bindings[1].removeprefix("ws:").rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def hangs_up(reader: asyncio.StreamReader) -> bytes:
    """All that is said until the end."""
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionResetError):
            return await reader.read()
        return b""


async def until_fds(unwrapper: Websocketd, wanted: int) -> None:
    """Looks again and again: it hears of an end after us, and does not tell."""
    async with asyncio.timeout(60):
        while unwrapper.fds() != wanted:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)
