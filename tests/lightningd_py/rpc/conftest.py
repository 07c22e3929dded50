"""The RPC server with a few commands, and all methods of a node."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.lightningd_py.rpc_methods import Rpc
from tests.lightningd_py.served_commands import ServedCommands


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[ServedCommands]:
    served = ServedCommands(tmp_path / "rpc")
    await served.server.start(served.path)
    yield served
    await served.close()
    assert not served.path.exists()


@pytest_asyncio.fixture
async def rpc(tmp_path: Path) -> AsyncIterator[Rpc]:
    rpc = Rpc(tmp_path)
    await rpc.listingd.control.begin()
    yield rpc
    await rpc.listingd.close()
    rpc.database.close()
