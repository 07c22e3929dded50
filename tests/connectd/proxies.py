"""SOCKS5 proxies for tests: Debian's microsocks, and one of our own that remembers and misbehaves."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.harness.ports import free_port

HELLO_SIZE = 4
USER_PASSWORD = b"\5\2"
GRANTED = b"\5\0\0\1" + bytes(6)


class FakeProxy:
    """Speaks SOCKS5 as scripted: `replies` are written in turn, each after the client's next words.

    None among them: nothing is said, and nothing more will be; after the last one it relays to `target` or hangs up.
    """

    def __init__(self, *replies: bytes | None, target: str | None = None) -> None:
        self.replies = replies
        self.target = target
        self.address = ""
        self.said: list[list[bytes]] = []
        """For each connection, what the client said before each reply."""

    @property
    def users(self) -> list[bytes]:
        """The user name of each connection (RFC 1929)."""
        return [words[1][2 : 2 + words[1][1]] for words in self.said]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FakeProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words: list[bytes] = []
        self.said.append(words)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            for reply in self.replies:
                words.append(await reader.read(1000))
                if reply is None:
                    await reader.read()
                    return
                writer.write(reply)
            if self.target is not None:
                await self._relay(reader, writer, self.target)
            writer.write_eof()  # a close would reset the connection, if the client has said more by now
            await reader.read()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str) -> None:
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        with contextlib.closing(far_writer):
            await asyncio.wait(
                {asyncio.create_task(_pump(reader, far_writer)), asyncio.create_task(_pump(far_reader, writer))}
            )


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
        writer.write_eof()


def request_for(host: str, port: int) -> bytes:
    """CONNECT to a name. RFC 1928, 4."""
    return b"\5\1\0\3" + bytes([len(host)]) + host.encode() + port.to_bytes(2, "big")


@contextlib.contextmanager
def microsocks() -> Iterator[str]:
    """A running microsocks; its address. Skips where it is not installed."""
    program = shutil.which("microsocks")
    if program is None:
        pytest.skip("microsocks is not installed")
    port = free_port()
    process = subprocess.Popen([program, "-i", "127.0.0.1", "-p", str(port)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int) -> None:
    """Asks again and again: the proxy says nowhere that it listens."""
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 10):
            return
