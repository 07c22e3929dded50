"""The test's end of puppets (puppet.py): services that do what a test tells them."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

LONGEST_LINE = 1 << 22
PATIENCE = 60.0


class Puppet:
    """One program that owns a connection; `about` is what it told of itself."""

    def __init__(self, about: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.about = about
        self._reader = reader
        self._writer = writer

    async def __call__(self, do: str, **how: Any) -> Any:
        """Have it do something, and wait until it is done. Raises OSError where it met one, EOFError if it ended."""
        await self.tell(do, **how)
        async with asyncio.timeout(PATIENCE):
            line = await self._reader.readline()
        if not line:
            raise EOFError("the puppet has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise OSError(answer["error"])
        return answer["ok"]

    async def tell(self, do: str, **how: Any) -> None:
        """The same without waiting: for what it may not survive."""
        self._writer.write(json.dumps({"do": do, **how}).encode() + b"\n")
        await self._writer.drain()

    async def exit(self, status: int = 0) -> None:
        """Have it end at once, without another word."""
        await self.tell("exit", status=status)
        await self.ended()

    async def ended(self) -> None:
        """Wait until its process is gone."""
        async with asyncio.timeout(PATIENCE):
            while await self._read_on():
                pass
        await self.close()

    async def _read_on(self) -> bytes:
        try:
            return await self._reader.read(LONGEST_LINE)
        except ConnectionError:
            return b""

    async def close(self) -> None:
        """Let go of it: it ends."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class Puppeteer:
    """Waits for puppets on a Unix socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrived: asyncio.Queue[Puppet] = asyncio.Queue()
        self._server: asyncio.Server | None = None
        self._puppets: list[Puppet] = []

    @staticmethod
    def service(name: str, path: Path) -> str:
        """The option that makes a puppet of a service, on this socket."""
        return f"--service={name}={sys.executable} -P {Path(__file__).parent / 'puppet.py'} {path}"

    async def __aenter__(self) -> "Puppeteer":
        self._server = await asyncio.start_unix_server(self._came, self.path, limit=LONGEST_LINE)
        return self

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        puppet = Puppet(json.loads(await reader.readline()), reader, writer)
        self._puppets.append(puppet)
        self._arrived.put_nowait(puppet)

    async def next(self) -> Puppet:
        """The next program that was started and has its connection."""
        async with asyncio.timeout(PATIENCE):
            return await self._arrived.get()

    def nobody_came(self) -> bool:
        """No puppet waits for `next`."""
        return self._arrived.empty()

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for puppet in self._puppets:
            await puppet.close()
        self.path.unlink(missing_ok=True)
