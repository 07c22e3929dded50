"""Fixtures: a chain that our side follows."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.lightningd_py.chain.canned_bitcoind import CannedBitcoind, Chain
from tests.lightningd_py.chain.followed_chain import FollowedChain


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[FollowedChain]:
    async with CannedBitcoind(Chain()) as node:
        node.chain.grow(5)
        yield FollowedChain(node, tmp_path)
