"""The test's end of a daemon that is taken over (taken_over.py)."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from wire.control.control_message import ControlMessage

PATIENCE = 60.0


def program(directory: Path, *names: str) -> list[str | Path]:
    """How to start a node whose daemons of these names are taken over."""
    return [sys.executable, Path(__file__).parent / "taken_over.py", directory, ",".join(names)]


class TakenOver:
    """One such daemon."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def _do(self, **order: Any) -> Any:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(self._path)
            writer.write(json.dumps(order).encode() + b"\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
            return json.loads(answer)

    async def say(self, message: ControlMessage, *fds: str) -> None:
        """Say this to the master; `fds` are the kinds of those that go with it."""
        datagram, declared = message.encode()
        await self._do(do="say", datagram=datagram.hex(), fds=fds or ["stream"] * len(declared))

    async def tries_to_open(self, path: Path, *, write: bool = False) -> str:
        """What comes of it: "opened", or the error."""
        return str(await self._do(do="open", path=str(path), write=write))
