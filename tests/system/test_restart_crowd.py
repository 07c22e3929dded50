"""`restart` of each process under load: small versions of what `make torture` does with 1,000 peers (restarts)."""

import random

import pytest

from lightningd_py.daemons.moving import MOVABLE
from tests.harness import killed
from tests.harness.crowd import OPTIONS, Crowd, Mix
from tests.harness.node import Nodes
from tests.harness.restarted import restart_often
from tests.harness.siege.truth import known_and_news, tell

pytestmark = pytest.mark.timeout(400)
MIX = Mix(pinging=5, by_websocket=2, telling=3, hearing=3, asking=3, of_programs=2, of_buses=2, idle=3)
COUNTS = {"all": 3}
"""Of seconds each."""


@pytest.mark.long
@pytest.mark.parametrize("what", MOVABLE)
async def test_no_peer_notices(nodes: Nodes, what: str) -> None:
    """23 peers, some restarts: nothing is lost, doubled or in a wrong order, and nothing is left behind."""
    node = nodes.start(*OPTIONS)
    known, news = known_and_news(160, 60)
    await tell(node, known)
    async with Crowd(node, known, news, MIX) as crowd:
        before = await crowd.conn_ids()
        grown = await restart_often(crowd, what, COUNTS.get(what, 5))
        assert await crowd.conn_ids() == before
        assert grown.left_behind == {}
        assert await crowd.has_told() == []


@pytest.mark.long
async def test_kills_in_the_midst_of_restarts(nodes: Nodes) -> None:
    """The old or the new one, at random moments: never two owners, nothing on the map is lost, the node serves on."""
    known, _ = known_and_news(61, 60)
    kills = await killed.kill_often(nodes, known, 9, random.Random(4), 300.0)
    assert kills.harm == []
    assert kills.killed.total() > 3, kills
