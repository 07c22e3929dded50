"""Fixtures: gossipd processes, an Ingest without any, and the store that both are about."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gossipd.map import loading
from gossipd.store.writer import GossipStore
from tests.gossipd.bench import Bench
from tests.gossipd.gossipd_process import GossipdProcess, GossipdProcesses
from tests.gossipd.writer import Writer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store is, or is to be."""
    return tmp_path / "gossip_store"


@pytest.fixture
def store(path: Path) -> Iterator[GossipStore]:
    """An empty store."""
    store = GossipStore.open(path)
    yield store
    store.close()


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    """An empty store, and what writes to it."""
    writer = Writer(path)
    yield writer
    writer.close()


@pytest.fixture
async def gossipds(tmp_path: Path) -> AsyncIterator[GossipdProcesses]:
    """Makes gossipd processes that have been told nothing."""
    async with GossipdProcesses(tmp_path) as gossipds:
        yield gossipds


@pytest.fixture
async def gossipd(gossipds: GossipdProcesses) -> GossipdProcess:
    """A gossipd with an empty store and no chain."""
    gossipd = gossipds.new()
    await gossipd.start()
    return gossipd


@pytest.fixture
def bench(path: Path) -> Iterator[Bench]:
    """An Ingest over an empty map."""
    bench = Bench(path, *loading.load(path))
    yield bench
    bench.store.close()
