"""gossipd gives everything back and another one goes on: no peer notices."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.gossipd.gossipd_process import (
    EVERYTHING,
    PATIENCE,
    FakePeer,
    GossipdProcess,
    GossipdProcesses,
    is_gossip,
    peer_info,
)
from tests.gossipd.messages import announcement, big_map, update
from tests.gossipd.owner import released
from wire.control.control_channel import RequestFailed
from wire.control.control_wire import AllGivenBack, GiveBack, PeerGivenBack
from wire.control.control_wire import Ping as AskPing
from wire.control.control_wire import Pong as PingAnswer
from wire.control.timing import Timing
from wire.encoded import encode_short_ids
from wire.peer_wire import GossipTimestampFilter, Ping, Pong, QueryShortChannelIds, ReplyShortChannelIdsEnd

CHAIN = peer_info(1).networks[0]


async def all_given_back(gossipd: GossipdProcess) -> list[PeerGivenBack]:
    """Ask for everything; what comes before the end."""
    gossipd.master.send(GiveBack(None))
    given = []
    async with asyncio.timeout(PATIENCE):
        while not isinstance(message := await gossipd.said.get(), AllGivenBack):
            assert isinstance(message, PeerGivenBack)
            given.append(message)
    return given


async def taken_over(gossipd: GossipdProcess, given: list[PeerGivenBack]) -> None:
    """Hand them all to another gossipd."""
    for message in given:
        info = peer_info(message.conn_id)
        await gossipd.hand_over(
            info, message.peer_fd, message.state, send=tuple(message.send), gossip_state=message.gossip_state
        )


async def succeeded(gossipds: GossipdProcesses, old: GossipdProcess, **init: Any) -> GossipdProcess:
    """The old process gives all back and ends, a new one takes over."""
    given = await all_given_back(old)
    await old.ends_without_its_peers()
    new = gossipds.new()
    await new.start(**init)
    await taken_over(new, given)
    return new


async def test_nothing_to_give_back(gossipd: GossipdProcess) -> None:
    assert await all_given_back(gossipd) == []


async def test_one_of_several(gossipd: GossipdProcess) -> None:
    peers = [await gossipd.connect() for _ in range(3)]
    for peer in peers:
        await peer.sync()
    gossipd.master.send(GiveBack(peers[1].conn_id))
    given = await gossipd.hear(PeerGivenBack)
    assert given.conn_id == peers[1].conn_id
    await peers[0].sync()
    await peers[2].sync()
    assert (await gossipd.status())["peers"] == 2
    await taken_over(gossipd, [given])
    assert await peers[1].sync() == [], "the filter was sent already"


async def test_streams_go_on(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    """Each peer is at another place of the map, and every one gets all of it, once."""
    await tell(gossipd, big_map())
    peers = [await gossipd.connect() for _ in range(4)]
    first = []
    for number, peer in enumerate(peers):
        await peer.say(EVERYTHING)
        first.append(await peer.gossip(number * 300 + 1))
    await succeeded(gossipds, gossipd)
    for peer, beginning in zip(peers, first, strict=True):
        assert sorted(beginning + await peer.gossip(len(big_map()) - len(beginning))) == sorted(big_map())
        assert [raw[:2] for raw in await peer.sync()] == [EVERYTHING[:2]], "our filter goes out once"


async def tell(gossipd: GossipdProcess, messages: list[bytes]) -> None:
    """Tell gossipd a map, and leave."""
    teller = await gossipd.connect()
    await teller.say(*messages)
    await teller.sync()
    await gossipd.settled()
    owner = await released(gossipd, teller.conn_id)
    owner.hangs_up()
    await gossipd.settled_at("remote_peers", 0)


async def test_filter_stays_as_it_was(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    """One that wants nothing old, one that has never asked, and news afterwards."""
    await tell(gossipd, big_map(100, 30))
    now = GossipTimestampFilter(CHAIN, update_time() - 10, 0xFFFFFFFF).encode()
    wants_new, wants_nothing = await gossipd.connect(), await gossipd.connect()
    await wants_new.say(now)
    await wants_new.sync()
    await wants_nothing.sync()
    new = await succeeded(gossipds, gossipd, timing=Timing(gossip_flush=0.1))
    await tell_more(new)
    assert await wants_new.gossip(2) == [announcement(500), update(500)]
    assert not any(map(is_gossip, await wants_nothing.sync()))


def update_time() -> int:
    """The timestamp of `update`."""
    return int.from_bytes(update(500)[106:110], "big")


async def tell_more(gossipd: GossipdProcess) -> None:
    """A channel is news."""
    teller = await gossipd.connect()
    await teller.say(announcement(500), update(500))
    await teller.sync()
    await gossipd.settled_at("accepted", 2)


async def test_another_store_begins_anew(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    """An offset of another file would be nonsense."""
    await tell(gossipd, big_map(100, 30))
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    await peer.gossip(len(big_map(100, 30)))
    given = await all_given_back(gossipd)
    await gossipd.ends_without_its_peers()
    gossipd.store.unlink()
    new = gossipds.new()
    await new.start(timing=Timing(gossip_flush=0.1))
    await taken_over(new, given)
    await tell_more(new)
    assert await peer.gossip(2) == [announcement(500), update(500)]


async def test_offset_behind_the_end_begins_anew(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    """The tail of the store was cut meanwhile."""
    await tell(gossipd, big_map(100, 30))
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    await peer.gossip(len(big_map(100, 30)))
    (given,) = await all_given_back(gossipd)
    assert given.gossip_state is not None
    given.gossip_state = replace(given.gossip_state, store_offset=given.gossip_state.store_offset + 7)
    await taken_over(gossipd, [given])
    assert sorted(await peer.gossip(len(big_map(100, 30)))) == sorted(big_map(100, 30))


@pytest.mark.bolt("B7-91")
async def test_answer_under_way_is_finished(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    await tell(gossipd, [message for message in big_map() if message[1] != 1])
    peer = await gossipd.connect()
    scids = sorted({int.from_bytes(m[98:106], "big") for m in big_map() if m[1] == 2})
    await peer.say(QueryShortChannelIds(CHAIN, encode_short_ids(scids)))
    first = await peer.gossip(1)
    await succeeded(gossipds, gossipd)
    assert (await peer.hear(ReplyShortChannelIdsEnd)).full_information == 1
    assert len(first) + len([raw for raw in peer.took() if is_gossip(raw)]) == 3_000


async def test_pings_under_way(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    """Ours fails, for nobody would know its pong; those of the peer are answered."""
    peer = await gossipd.connect()
    asked = asyncio.create_task(gossipd.master.request(AskPing(b"", peer.conn_id, 9, 0), PingAnswer))
    await peer.hear(Ping)
    await peer.say(*(Ping(50_000, b"") for _ in range(50)))
    await gossipd.sync_all()
    new = await succeeded(gossipds, gossipd)
    with pytest.raises(RequestFailed, match="left before the pong came"):
        await asked
    for _ in range(50):
        assert len((await peer.hear(Pong)).ignored) == 50_000
    await peer.say(Pong(bytes(9)))
    await peer.sync()
    assert (await new.status())["peers"] >= 1


async def numbered(peer: FakePeer, first: int, count: int) -> None:
    """Pings of these sizes."""
    await peer.say(*(Ping(number, b"") for number in range(first, first + count)))


@pytest.mark.bolt("B8-54")
async def test_ten_successions_under_traffic(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    gossipd, peers = gossipd, [await gossipd.connect() for _ in range(5)]
    for turn in range(10):
        for peer in peers:
            await numbered(peer, turn * 100, 100)
        given = await all_given_back(gossipd)
        await taken_over(gossipd, given)
    for peer in peers:
        assert [len((await peer.hear(Pong)).ignored) for _ in range(1_000)] == list(range(1_000))
        assert [raw[:2] for raw in peer.took()] == [EVERYTHING[:2]]
