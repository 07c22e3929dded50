"""The RPC server with a few commands."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.lightningd_py.served_commands import ServedCommands


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[ServedCommands]:
    served = ServedCommands(tmp_path / "rpc")
    await served.server.start(served.path)
    yield served
    await served.close()
    assert not served.path.exists()
