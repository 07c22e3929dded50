"""The budget of what is served, with the real process: streams keep to it, and hold up nothing else."""

import asyncio
import time

import pytest

from tests.gossipd.gossipd_process import (
    CHAIN,
    EVERYTHING,
    PATIENCE,
    FakePeer,
    GossipdProcess,
    GossipdProcesses,
    is_gossip,
)
from tests.gossipd.messages import announcement, big_map, update
from tests.gossipd.owner import released
from wire.control.control_wire import GiveBack, PeerGivenBack
from wire.control.limits import Limits
from wire.encoded import encode_short_ids
from wire.net.gossip_fd import GOSSIP_START
from wire.peer_wire import QueryChannelRange, QueryShortChannelIds, ReplyShortChannelIdsEnd

MAP_BYTES = sum(map(len, big_map()))
RATE = MAP_BYTES // 3
"""Two thirds of the map go out at once, and the rest takes a second."""
QUERY = QueryChannelRange(CHAIN, 0, 1_000_000).encode()
EVERY_CHANNEL = QueryShortChannelIds(
    CHAIN, encode_short_ids(sorted({int.from_bytes(raw[98:106], "big") for raw in big_map() if raw[1] == 2}))
).encode()


async def with_map(gossipds: GossipdProcesses, limits: Limits, *, later: bool = False) -> GossipdProcess:
    """A gossipd that knows the big map."""
    gossipd = gossipds.new()
    await gossipd.start_with(limits, later=later)
    teller = await gossipd.connect()
    await teller.say(*big_map())
    await teller.sync()
    await gossipd.settled()
    return gossipd


async def gets_the_map(peer: FakePeer) -> float:
    """All of it, and the seconds that it takes."""
    begin = time.monotonic()
    await peer.say(EVERYTHING)
    assert sorted(await peer.gossip(len(big_map()))) == sorted(big_map())
    return time.monotonic() - begin


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_a_stream_keeps_to_its_rate(gossipds: GossipdProcesses, later: bool) -> None:
    gossipd = await with_map(gossipds, Limits(gossip_peer_rate=RATE), later=later)
    assert await gets_the_map(await gossipd.connect()) > 0.8


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_all_streams_together_keep_to_the_rate(gossipds: GossipdProcesses, later: bool) -> None:
    gossipd = await with_map(gossipds, Limits(gossip_total_rate=RATE), later=later)
    begin = time.monotonic()
    peers = [await gossipd.connect() for _ in range(2)]
    for peer in peers:
        await gets_the_map(peer)
    assert time.monotonic() - begin > 3.5


async def test_pongs_are_not_held_back(gossipds: GossipdProcesses) -> None:
    """While a stream waits for its budget there are pongs, and its news is not lost."""
    gossipd = await with_map(gossipds, Limits(gossip_peer_rate=RATE))
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    heard = await peer.gossip(len(big_map()) // 2)
    for _ in range(10):
        heard += filter(is_gossip, await peer.sync())
    assert len(heard) < len(big_map())
    heard += await peer.gossip(len(big_map()) - len(heard))
    assert sorted(heard) == sorted(big_map())


@pytest.mark.bolt("B7-91")
@pytest.mark.parametrize("limits", [Limits(gossip_peer_rate=RATE), Limits(gossip_total_rate=RATE)])
async def test_answers_keep_to_the_rate(gossipds: GossipdProcesses, limits: Limits) -> None:
    """One peer asks for everything, and again when it has it: no faster than the rate, and each time it gets it all.
    Another one's pings are answered meanwhile, and so are its own.
    """
    gossipd = await with_map(gossipds, limits)
    greedy, other = await gossipd.connect(), await gossipd.connect()
    begin = time.monotonic()
    for _ in range(2):
        await greedy.say(EVERY_CHANNEL)
        heard = await greedy.sync()
        assert ReplyShortChannelIdsEnd(CHAIN, 1).encode() not in heard
        await other.sync()
        await greedy.hear(ReplyShortChannelIdsEnd)
        assert sorted(filter(is_gossip, [*heard, *greedy.took()])) == sorted(big_map())
    assert time.monotonic() - begin > 3.5


async def test_one_that_asks_again_and_again_starves_nobody(gossipds: GossipdProcesses) -> None:
    """They share the common rate: while one asks without end, another one gets the whole map."""
    gossipd = await with_map(gossipds, Limits(gossip_total_rate=2 * RATE))
    greedy, other = await gossipd.connect(), await gossipd.connect()

    async def asks_for_ever() -> None:
        while True:
            await greedy.say(EVERY_CHANNEL)
            await greedy.hear(ReplyShortChannelIdsEnd)

    asking = asyncio.create_task(asks_for_ever())
    try:
        await gets_the_map(other)
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def test_answers_move_with_the_connection(gossipds: GossipdProcesses) -> None:
    """What is left of an answer is a query for the successor, and not in memory."""
    gossipd = await with_map(gossipds, Limits(gossip_peer_rate=RATE))
    peer = await gossipd.connect()
    await peer.say(EVERY_CHANNEL)
    await peer.sync()
    gossipd.master.send(GiveBack(peer.conn_id))
    given = await gossipd.hear(PeerGivenBack)
    assert sum(map(len, given.send)) < 1_000
    assert given.gossip_state is not None
    assert len(given.gossip_state.queries) == 1
    given.close_fds()


@pytest.mark.parametrize("limits", [Limits(gossip_peer_rate=0, gossip_total_rate=0), Limits(gossip_peer_rate=1_000)])
async def test_a_map_that_nobody_reads_blocks_nothing(gossipds: GossipdProcesses, limits: Limits) -> None:
    """Ten peers ask for everything and read nothing; another one's gossip is taken, and its questions are answered."""
    gossipd = await with_map(gossipds, limits)
    for _ in range(10):
        await (await gossipd.connect()).say(EVERYTHING)
    other = await gossipd.connect()
    for number in range(20):
        await other.say(announcement(900 + number), update(900 + number), QUERY)
        await other.sync()
    assert (await gossipd.settled())["channels"] == 1_020


async def test_the_gossip_fd_keeps_to_the_rate_too(gossipds: GossipdProcesses) -> None:
    gossipd = await with_map(gossipds, Limits(gossip_peer_rate=RATE))
    peer = await gossipd.connect()
    await peer.sync()
    owner = await released(gossipd, peer.conn_id)
    owner.gossip.settimeout(PATIENCE)
    begin = time.monotonic()
    owner.gossip.send(GOSSIP_START)
    owner.gossip.send(EVERYTHING)
    missing = len(big_map())
    while missing:
        missing -= 256 <= int.from_bytes(owner.gossip.recv(70_000)[:2], "big") <= 258
    assert time.monotonic() - begin > 0.8
    owner.hangs_up()
