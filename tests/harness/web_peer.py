"""Peers that come by WebSocket: their frames are made here, so that one can stand half."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

from websockets.frames import Frame, Opcode

from lightningd_py.tools.scripted_peer import ScriptedPeer
from tests.harness.node import Node

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Web:
    """A client that makes its frames itself: `gate` is open but while it is to stand still in the midst of one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.gate = asyncio.Event()
        self.gate.set()
        self.halves = 0
        """Frames that stand half."""

    @classmethod
    async def dial(cls, node: Node) -> "Web":
        (web,) = (text.removeprefix("ws:") for text in node.bindings if text.startswith("ws:"))
        host, _, port = web.rpartition(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def ask(self) -> None:
        """The upgrade; with the gate shut, half of its request."""
        await self._say(REQUEST, 50)
        assert (await self._reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

    async def _say(self, data: bytes, half: int) -> None:
        if self.gate.is_set():
            self._writer.write(data)
        else:
            self._writer.write(data[:half])
            self.halves += 1
            await self.gate.wait()
            self._writer.write(data[half:])
        await self._writer.drain()

    async def carry(self, sock: socket.socket) -> None:
        """Bytes of the socket as messages of two frames, of which the first stands half if the gate is shut; and
        back.
        """
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            await asyncio.gather(self._up(reader), self._down(writer))
        finally:
            writer.close()
            self._writer.close()

    async def _up(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65_536):
            middle = len(data) // 2
            for opcode, part, fin in ((Opcode.BINARY, data[:middle], False), (Opcode.CONT, data[middle:], True)):
                frame = Frame(opcode, part, fin).serialize(mask=True)
                await self._say(frame, len(frame) // 2)
        self._writer.write_eof()

    async def _down(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self._reader.readexactly(2)
                length = head[1]
                if length > 125:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
                payload = await self._reader.readexactly(length)
                if head[0] & 15 == Opcode.CLOSE:
                    break
                writer.write(payload)
        writer.close()


@contextlib.asynccontextmanager
async def peer_by(web: Web, node: Node) -> AsyncIterator[ScriptedPeer]:
    """A peer that has done INIT."""
    ours, theirs = socket.socketpair()
    carrying = asyncio.create_task(web.carry(theirs))
    async with ScriptedPeer(*await asyncio.open_connection(sock=ours), their_id=bytes.fromhex(node.node_id)) as peer:
        await peer.shake_hands()
        await peer.exchange_init()
        await peer.sync()
        yield peer
    await carrying
