"""The budget of what is served, with the real process: streams keep to it, and hold up nobody and nothing else."""

import time

import pytest

from tests.gossipd.house import CHAIN, EVERYTHING, PATIENCE, FakePeer, House, Houses
from tests.gossipd.messages import announcement, big_map, update
from tests.gossipd.owner import released
from wire.gossip_fd import GOSSIP_START
from wire.limits import Limits
from wire.peer_wire import QueryChannelRange, ReplyChannelRange

MAP_BYTES = sum(map(len, big_map()))
RATE = MAP_BYTES // 3
"""Two thirds of the map go out at once, and the rest takes a second."""
QUERY = QueryChannelRange(CHAIN, 0, 1_000_000).encode()


async def with_map(houses: Houses, limits: Limits) -> House:
    """A gossipd that knows the big map."""
    gossipd = houses.new()
    await gossipd.start(limits=limits)
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


async def test_a_stream_keeps_to_its_rate(houses: Houses) -> None:
    gossipd = await with_map(houses, Limits(gossip_peer_rate=RATE))
    assert await gets_the_map(await gossipd.connect()) > 0.8


async def test_all_streams_together_keep_to_the_rate(houses: Houses) -> None:
    gossipd = await with_map(houses, Limits(gossip_total_rate=RATE))
    begin = time.monotonic()
    peers = [await gossipd.connect() for _ in range(2)]
    for peer in peers:
        await gets_the_map(peer)
    assert time.monotonic() - begin > 3.5


async def test_what_is_not_the_stream_is_not_held_back(houses: Houses) -> None:
    """While a stream waits for its budget there are pongs and answers to queries, and its news is not lost."""
    gossipd = await with_map(houses, Limits(gossip_peer_rate=RATE))
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    heard = await peer.gossip(len(big_map()) // 2)
    for _ in range(10):
        heard += await peer.sync()
        await peer.say(QUERY)
        assert (await peer.hear(ReplyChannelRange)).sync_complete == 1
    heard += peer.took()
    assert len(heard) < len(big_map())
    heard += await peer.gossip(len(big_map()) - sum(raw[0] == 1 and raw[1] < 3 for raw in heard))
    assert {*heard} >= {*big_map()}


@pytest.mark.parametrize("limits", [Limits(), Limits(gossip_peer_rate=1_000)])
async def test_a_map_that_nobody_reads_blocks_nothing(houses: Houses, limits: Limits) -> None:
    """Ten peers ask for everything and read nothing; another one's gossip is taken, and its questions are answered."""
    gossipd = await with_map(houses, limits)
    for _ in range(10):
        await (await gossipd.connect()).say(EVERYTHING)
    other = await gossipd.connect()
    for number in range(20):
        await other.say(announcement(900 + number), update(900 + number), QUERY)
        await other.sync()
    assert (await gossipd.settled())["channels"] == 1_020


async def test_the_gossip_fd_keeps_to_the_rate_too(houses: Houses) -> None:
    gossipd = await with_map(houses, Limits(gossip_peer_rate=RATE))
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
