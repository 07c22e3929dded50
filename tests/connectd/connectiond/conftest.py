"""Fixtures: a connectiond process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.connectd.connectiond.connectiond_process import ConnectiondProcess


@pytest.fixture
async def new_bus(tmp_path: Path) -> AsyncIterator[ConnectiondProcess]:
    """A connectiond that was told nothing; at the end it must go quietly."""
    connectiond = ConnectiondProcess(tmp_path)
    try:
        yield connectiond
        connectiond.ends_well()
    finally:
        connectiond.clean_up()


@pytest.fixture
async def bus(new_bus: ConnectiondProcess) -> ConnectiondProcess:
    """A connectiond with a MSG bus."""
    return await new_bus.start()


@pytest.fixture
async def new(tmp_path: Path) -> AsyncIterator[ConnectiondProcess]:
    """One that is to take the place of another."""
    connectiond = ConnectiondProcess(tmp_path, "new.log")
    try:
        await connectiond.start(takes_place=True)
        yield connectiond
    finally:
        connectiond.clean_up()
