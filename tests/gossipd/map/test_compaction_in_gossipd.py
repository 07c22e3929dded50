"""Compaction as options and the master ask for it, with the real process."""

import pytest

from gossipd.gossmap import Gossmap
from tests.gossipd.gossipd_process import EVERYTHING, GossipdProcess, GossipdProcesses
from tests.gossipd.messages import NOW, announcement, update
from wire.control.control_wire import CompactStore, CompactStoreReply
from wire.control.limits import Limits
from wire.control.timing import Timing

CHANNEL = [announcement(), update(direction=0), update(direction=1)]
AGAIN = [update(timestamp=NOW + 1, direction=0), update(timestamp=NOW + 1, direction=1)]


async def with_dead_records(gossipd: GossipdProcess) -> None:
    """A channel, both of whose updates were replaced."""
    teller = await gossipd.connect()
    await teller.say(*CHANNEL)
    await teller.sync()
    await gossipd.settled()
    await teller.say(*AGAIN)
    await teller.sync()
    await gossipd.settled()


async def test_when_the_master_asks_for_it(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start()
    await with_dead_records(gossipd)
    before = await gossipd.status()
    assert before["store_dead_bytes"] == sum(len(raw) + 12 for raw in CHANNEL[1:])
    assert before["store_live_bytes"] == before["store_bytes"] - before["store_dead_bytes"]
    reply = await gossipd.master.request(CompactStore(), CompactStoreReply)
    after = await gossipd.status()
    assert reply.store_bytes == after["store_bytes"] == after["store_live_bytes"] == before["store_live_bytes"]
    assert [after[name] - before[name] for name in ("store_dead_bytes", "compactions")] == [
        -before["store_dead_bytes"],
        1,
    ]
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    assert await peer.gossip(3) == [CHANNEL[0], *AGAIN]
    with Gossmap(gossipd.store) as gossmap:
        assert len(list(gossmap.channels())) == 1


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_when_the_options_say_that_it_is_worth_it(gossipds: GossipdProcesses, later: bool) -> None:
    """As soon as half of it is dead, however small it is."""
    gossipd = gossipds.new()
    limits = Limits(compact_size=0, compact_ratio=1)
    await gossipd.start_with(limits, later=later, timing=Timing(gossip_flush=1.0))
    await with_dead_records(gossipd)
    teller = await gossipd.connect()
    for seconds in range(2, 9):
        await teller.say(update(timestamp=NOW + seconds, direction=0))
        await teller.sync()
        await gossipd.settled()
    await gossipd.logs("is compacted: ")
    counters = await gossipd.settled()
    assert counters["store_dead_bytes"] < counters["store_live_bytes"], "what has come since may be dead again"
