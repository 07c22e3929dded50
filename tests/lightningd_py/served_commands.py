"""An RPC server with a few commands, and its clients."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

from lightningd_py.daemons.listing_control import ListingControl
from lightningd_py.news.topics import Topics
from lightningd_py.rpc.jsonrpc import Command, RpcServer
from lightningd_py.rpc.notifications import Tell, tell_asker
from lightningd_py.rpc.params import RpcError, anything, optional, required, text
from wire.control.control_wire import MapListing


class Client:
    """A client that says what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    @property
    def transport(self) -> asyncio.Transport:
        """To pause and resume its reading."""
        transport = self.writer.transport
        assert isinstance(transport, asyncio.Transport)
        return transport

    async def reply(self) -> Any:
        return json.loads(await self.reader.readuntil(b"\n\n"))

    async def call(self, method: Any, params: Any = (), **more: Any) -> Any:
        self.say(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params} | more).encode())
        return await self.reply()

    async def at_end(self) -> bool:
        return await self.reader.read() == b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):  # it was hung up on
            await self.writer.wait_closed()


class ServedCommands:
    """A server with a few commands, and its clients."""

    def __init__(self, path: Path, listingd: ListingControl | None = None) -> None:
        self.path = path
        self.clients: list[Client] = []
        self.gate, self.arrived = asyncio.Event(), asyncio.Event()
        self.order: list[Any] = []
        self.topics = Topics()
        self.server = RpcServer(
            [
                Command(
                    "echo",
                    self.echo,
                    (required("what", anything, "this"), optional("more", text, "and that", "none")),
                    "Say it back.",
                ),
                Command("wait", self.wait, (), "Until the gate opens."),
                Command("refuse", self.refuse),
                Command("boom", self.boom),
                Command("unspeakable", self.unspeakable),
                Command("channels", self.channels),
                Command("steps", self.steps),
            ],
            listingd,
            topics=self.topics,
        )

    async def echo(self, what: Any, more: str) -> Any:
        self.order.append(what)
        return {"what": what, "more": more}

    async def wait(self) -> Any:
        self.arrived.set()
        await self.gate.wait()
        return {"waited": True}

    async def refuse(self) -> Any:
        raise RpcError(401, "all failed", {"tried": 3})

    async def boom(self) -> Any:
        raise KeyError("a bug")

    async def channels(self) -> MapListing:
        return MapListing("channels")

    async def steps(self) -> Any:
        """Two, the second of which another task does."""
        tell = tell_asker()
        tell("first", 0, 2)
        await asyncio.create_task(self._second_step(tell))
        return {"done": True}

    async def _second_step(self, tell: Tell) -> None:
        tell("second", 1, 2)

    async def unspeakable(self) -> Any:
        return {"bytes": b"x"}

    async def client(self) -> Client:
        reader, writer = await asyncio.open_unix_connection(str(self.path), limit=1 << 26)
        self.clients.append(Client(reader, writer))
        return self.clients[-1]

    async def close(self) -> None:
        """First the clients."""
        for client in self.clients:
            await client.close()
        await self.server.close()
