"""Fixtures: gossipd processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gossipd.house import House, Houses


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[Houses]:
    """Makes gossipd processes."""
    async with Houses(tmp_path) as houses:
        yield houses


@pytest.fixture
async def gossipd(houses: Houses) -> House:
    """A gossipd with an empty store and no chain."""
    house = houses.new()
    await house.start()
    return house
