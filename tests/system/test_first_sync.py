"""The chain stops answering in the midst of a first sync: nobody else is held up, and in the end nothing is missing.

How long anybody may be held up is held by tests/gossipd/ingest/test_pipeline_long_outage.py, in injected time.
"""

import asyncio

from gossipd.ingest.pending import MAX_PENDING_BYTES
from tests.gossipd.chain_source import ChainSource
from tests.gossipd.gossipd_process import CHAIN, PATIENCE, GossipdProcesses
from tests.gossipd.messages import announcement, update
from tests.gossipd.owner import taken
from tests.gossipd.serving import serve
from wire.control.limits import Limits
from wire.control.timing import Timing

FEATURES = bytes(60_000)
"""So long that a few hundred announcements are more than may wait for their outputs: 20,000 of usual size would be."""
CHANNELS = MAX_PENDING_BYTES // len(FEATURES) + 200
OPEN_CHANNEL = b"\0\x20" + CHAIN + bytes(32)
TIMING = Timing(gossip_flush=1.0, backpressure_pause=0.2, stream_quiet=0.3, query_timeout=5.0)


async def test_the_chain_stops_in_the_midst_of_a_first_sync(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(check_txout=True, timing=TIMING, limits=Limits(read_rate=0))
    source = ChainSource(gossipd)
    messages = [
        message
        for number in range(CHANNELS)
        for message in (announcement(number, features=FEATURES), update(number, 0), update(number, 1))
    ]
    teller, other, opener = [await gossipd.connect() for _ in range(3)]
    running = asyncio.create_task(source.run())
    await teller.say(*messages[:300])
    await teller.sync()
    await gossipd.settled_at("channels", 100)

    source.goes_on.clear()
    saying = asyncio.create_task(teller.say(*messages[300:]))
    async with asyncio.timeout(PATIENCE):
        while not (await gossipd.status())["owed_messages"]:
            await other.sync()
    await opener.say(OPEN_CHANNEL)
    owner = await taken(gossipd)
    assert owner.conn_id == opener.conn_id
    await saying
    await other.sync()
    assert (await gossipd.status())["channels"] == 100

    source.goes_on.set()
    serving = [asyncio.create_task(serve(peer, messages)) for peer in (teller, other)]
    await gossipd.settled_at("accepted", len(messages))
    status = await gossipd.status()
    assert (status["channels"], status["bad"]) == (CHANNELS, 0)
    assert source.answered == CHANNELS
    for task in (running, *serving):
        task.cancel()
    owner.hangs_up()
