"""LDK (lightningdevkit from npm) in a node process of its own: ldk/peer.mjs, from the test's side."""

import asyncio
import json
from pathlib import Path
from typing import Any

from wire.scid import scid_to_text

HERE = Path(__file__).parent / "ldk"
PACKAGE = HERE / "package.json"
LONGEST_LINE = 1 << 24
LATEST = 300.0
"""Seconds for a command: thousands of signatures that WebAssembly checks on a busy machine are one."""


class Ldk:
    """One LDK node in a process; each command is a line of JSON, as peer.mjs documents them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.last_id = 0

    @classmethod
    async def start(cls, modules: Path, log: Path, *words: str) -> "Ldk":
        with log.open("ab") as stderr:
            process = await asyncio.create_subprocess_exec(
                "node", HERE / "peer.mjs", modules, *words, stdin=-1, stdout=-1, stderr=stderr, limit=LONGEST_LINE
            )
        return cls(process)

    async def __call__(self, command: str, **fields: object) -> dict[str, Any]:
        """Raises RuntimeError with LDK's or the program's reason."""
        assert self.process.stdin and self.process.stdout
        self.last_id += 1
        request = {"id": self.last_id, "command": command, **fields}
        async with asyncio.timeout(LATEST):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            await self.process.stdin.drain()
            answer = json.loads(await self.process.stdout.readline() or '{"error": "the program has ended"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        assert answer["id"] == self.last_id
        return dict(answer["ok"])

    async def listen(self) -> tuple[str, int]:
        """Its node id and port, on 127.0.0.1."""
        answer = await self("listen", port=0)
        return answer["node_id"], answer["port"]

    async def connect(self, node_id: str, port: int) -> None:
        """TCP is up; `wait` tells when the peer is one."""
        await self("connect", node_id=node_id, host="127.0.0.1", port=port)

    async def scids(self) -> set[str]:
        return {scid_to_text(int(scid)) for scid in (await self("list_channels"))["channels"]}

    async def load(self, messages: list[str]) -> None:
        assert await self("add_gossip", messages=messages) == {"added": len(messages), "refused": []}

    async def stop(self) -> None:
        """End of stdin is enough for it to end."""
        assert self.process.stdin
        self.process.stdin.close()
        async with asyncio.timeout(60):
            await self.process.wait()
