"""Many peers stream (`--gossip-listen=all`): each source has its share, however many connections it has.

Time is injected, so what is heard in which order does not depend on how fast the machine is.
"""

import asyncio
from pathlib import Path

import pytest

from tests.gossipd.ingest.gossipd_inside import Inside
from tests.gossipd.messages import announcement
from tests.harness.injected_time import InjectedTime
from wire.control.limits import Limits
from wire.net.turns import MESSAGE_COST, QUANTUM

CROWD, EACH = 50, 200
"""Connections of one address, and messages of each."""


@pytest.mark.parametrize("honest_at", ["203.0.113.1:9735", "198.51.100.1:9735"])
def test_many_streams_of_one_source_do_not_hold_up_another_one(tmp_path: Path, honest_at: str) -> None:
    """What is new and comes last, behind 10,000 messages: from another address it is heard after one piece of them."""
    with asyncio.Runner(loop_factory=InjectedTime) as runner:
        heard = runner.run(_heard_before(tmp_path, honest_at))
    piece = QUANTUM // (len(announcement()) + MESSAGE_COST) + 1
    if honest_at.startswith("203"):
        assert heard <= 2 * piece
    else:
        assert heard >= CROWD * piece, "one more of the crowd waits for its turn"


async def _heard_before(directory: Path, honest_at: str) -> int:
    """How many messages of the crowd are heard before the honest peer's."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, InjectedTime)
    inside = Inside(directory, loop)
    try:
        await inside.start(limits=Limits(inbound=1_000, inbound_per_source=1_000, read_rate=0, gossip_listen=0))
        crowd = [await inside.connect(address=f"198.51.100.1:{port}") for port in range(1, CROWD + 1)]
        honest = await inside.connect(address=honest_at)
        await honest.sync()
        order: list[int] = []
        receive = inside.gossipd.ingest.receive
        news = loop.create_future()

        def noted(message: bytes, source: int) -> object:
            order.append(source)
            if source == honest.conn_id:
                news.set_result(None)
            return receive(message, source)

        inside.gossipd.ingest.receive = noted  # type: ignore[method-assign, assignment]
        for peer in crowd:
            peer.sock.sendall(peer.encrypt(*[announcement()] * EACH))
        honest.sock.sendall(honest.encrypt(announcement(1)))
        await news
        return order.index(honest.conn_id)
    finally:
        inside.clean_up()
