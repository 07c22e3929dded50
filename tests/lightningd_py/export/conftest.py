"""A map with odd aliases, for all formats."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipd.gossmap import Gossmap
from tests.lightningd_py.export.odd_maps import write_odd_store


@pytest.fixture(scope="session")
def odd_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_odd_store(tmp_path_factory.mktemp("odd") / "gossip_store")


@pytest.fixture
def odd(odd_store: Path) -> Iterator[Gossmap]:
    with Gossmap(odd_store) as gossmap:
        yield gossmap
