"""node-lightning (@node-lightning from npm) in a node process: node_lightning/peer.mjs, from the test's side."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.harness.node import Node
from tests.interop.conftest import Program

HERE = Path(__file__).parent / "node_lightning"
PACKAGE = HERE / "package.json"
GOSSIP_QUERIES, GOSSIP_QUERIES_EX = 7, 11


class NodeLightning:
    """The program; each call is one of its commands."""

    def __init__(self, modules: Path) -> None:
        self._program = Program("node", HERE / "peer.mjs", modules)

    async def __call__(self, command: str, **arguments: Any) -> dict[str, Any]:
        return dict(await self._program.answer(command, **arguments))

    async def dial(self, node: Node, *, without: Sequence[int] = ()) -> dict[str, Any]:
        """INITs are exchanged; what was in ours, and its own node_id. `without`: features that it does not offer."""
        return await self("connect", node_id=node.node_id, host="127.0.0.1", port=node.port, without=list(without))

    async def listen(self) -> tuple[str, int]:
        """Its node id and port, on 127.0.0.1."""
        answer = await self("listen")
        return answer["node_id"], answer["port"]

    def end(self) -> None:
        """As Program."""
        self._program.end()
