"""Fixtures: gossipd processes, and an Ingest without any."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gossipd import gossmap
from tests.gossipd.bench import Bench
from tests.gossipd.house import House, Houses


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[Houses]:
    """Makes gossipd processes that have been told nothing."""
    async with Houses(tmp_path) as houses:
        yield houses


@pytest.fixture
async def gossipd(houses: Houses) -> House:
    """A gossipd with an empty store and no chain."""
    house = houses.new()
    await house.start()
    return house


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An Ingest over an empty map."""
    path = tmp_path / "gossip_store"
    bench = Bench(path, *gossmap.load(path))
    yield bench
    bench.store.close()
