"""A service of the buses in JavaScript (zeromq and msgpack from npm), in a node process of its own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.harness.node import Node
from tests.interop.conftest import Program

HERE = Path(__file__).parent / "bus"
PACKAGE = HERE / "package.json"


class JavaScriptService:
    """The program bus/service.mjs; each method is one of its commands."""

    @classmethod
    @contextlib.contextmanager
    def started(cls, modules: Path) -> Iterator["JavaScriptService"]:
        """Ended with the block."""
        program = Program("node", HERE / "service.mjs", modules)
        try:
            yield cls(program)
        finally:
            program.end()

    def __init__(self, program: Program) -> None:
        self.process = program.process
        self._ask = program.answer

    async def __call__(self, command: str, **arguments: Any) -> dict[str, Any]:
        return dict(await self._ask(command, **arguments))

    async def join(self, node: Node, service: str) -> dict[str, Any]:
        """Begin the sessions."""
        return await self("join", ctl=f"ipc://{node.directory}/ctl", service=service)
