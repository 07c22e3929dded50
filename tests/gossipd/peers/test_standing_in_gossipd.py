"""Judging with the real process: warnings, ignoring, disconnection, and what each peer's gossip was worth."""

import pytest

from gossipd.peers.standing import DISCONNECT_AT, IGNORE_AT
from tests.gossipd.gossipd_process import GossipdProcess
from tests.gossipd.messages import NOW, announcement, big_map, update
from tests.gossipd.owner import released
from wire.control.control_wire import GossipStatus, GossipStatusReply, PeerDisconnected, PeerGossip
from wire.peer_wire import WarningMessage, decode

FUTURE = [update(timestamp=NOW + 200_000 + number) for number in range(300)]
WRONG = [announcement(number // 80)[: 300 + number % 80] for number in range(int(DISCONNECT_AT) + 20)]
"""Cut, each in another place."""
ENOUGH = int(IGNORE_AT) + 1


async def worth(gossipd: GossipdProcess, conn_id: int) -> PeerGossip:
    """What is counted of this peer."""
    reply = await gossipd.master.request(GossipStatus(), GossipStatusReply)
    (found,) = (peer for peer in reply.peers if peer.conn_id == conn_id)
    return found


def warnings(heard: list[bytes]) -> list[str]:
    """The texts of the warnings among these."""
    return [message.data.decode() for message in map(decode, heard) if isinstance(message, WarningMessage)]


async def test_each_message_is_counted(gossipd: GossipdProcess) -> None:
    peer, other = await gossipd.connect(), await gossipd.connect()
    chatter = [update(timestamp=NOW - 20 + number, cltv_expiry_delta=number) for number in range(15)]
    await peer.say(announcement(), *chatter[:1])
    await peer.sync()
    await gossipd.settled()
    for message in chatter[1:]:
        await peer.say(message)
        await peer.sync()
        await gossipd.settled()
    await peer.say(announcement(), WRONG[1])
    await peer.sync()
    await gossipd.settled()
    found = await worth(gossipd, peer.conn_id)
    assert (found.good, found.redundant, found.rate_limited, found.bad) == (12, 1, 4, 1)
    assert (found.score, found.ignored) == (1, False)
    assert await worth(gossipd, other.conn_id) == PeerGossip(other.conn_id, 0, 0, 0, 0, 0, False)


@pytest.mark.bolt("B7-62")
async def test_bad_gossip_comes_to_an_end(gossipd: GossipdProcess) -> None:
    """The first one gets its warning; many are enough to be ignored, and more to be hung up on, if it goes on."""
    peer = await gossipd.connect()
    await peer.say(*WRONG[:ENOUGH])
    said = warnings(await peer.sync())
    assert said[0].endswith("is too short")
    assert said[1:] == ["your gossip is ignored for 300 seconds: too much of it was bad"]
    assert (await worth(gossipd, peer.conn_id)).ignored


async def test_what_is_ignored_is_asked_for_later(gossipd: GossipdProcess) -> None:
    """Its gossip is not looked at, its pings are answered; another peer's gossip is taken."""
    peer, other = await gossipd.connect(), await gossipd.connect()
    await peer.say(announcement())
    await gossipd.sync_all()
    await peer.say(*WRONG[:ENOUGH])
    await peer.sync()
    assert (await worth(gossipd, peer.conn_id)).ignored
    before = (await gossipd.status())["owed_messages"]
    await peer.say(announcement(1), update(1), *WRONG[ENOUGH:])
    await peer.sync()
    assert (await gossipd.status())["owed_messages"] - before >= 2
    assert (await gossipd.settled())["channels"] == 0
    await other.say(announcement(1), update(1))
    await gossipd.settled_at("channels", 1)


async def test_remembered_when_it_comes_back(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(*WRONG[:ENOUGH])
    await peer.sync()
    peer.close()
    await gossipd.hear(PeerDisconnected)
    back = await gossipd.connect()
    assert (await worth(gossipd, back.conn_id)).ignored


async def test_a_peer_of_a_service_keeps_its_link(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.sync()
    owner = await released(gossipd, peer.conn_id)
    for message in WRONG[:ENOUGH]:
        owner.gossip.send(message)
    await gossipd.sync_all()
    found = await worth(gossipd, peer.conn_id)
    assert (found.ignored, found.score) == (True, ENOUGH)
    assert gossipd.said.empty()
    owner.hangs_up()


async def test_what_honest_peers_do_costs_nothing(gossipd: GossipdProcess) -> None:
    """Updates ahead of our clock, of channels that are not known, stale ones: their senders cannot know."""
    peer = await gossipd.connect()
    stale = [update(timestamp=NOW - 2_000_000 + number) for number in range(300)]
    await peer.say(announcement(), update(), *FUTURE, *stale, *[update(7, timestamp=NOW - n) for n in range(300)])
    await peer.sync()
    await gossipd.settled()
    found = await worth(gossipd, peer.conn_id)
    assert (found.bad, found.score, found.ignored) == (0, 0, False)


async def test_a_map_that_we_have_costs_nothing(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    for _ in range(3):
        await peer.say(*big_map())
        await peer.sync()
        await gossipd.settled()
    found = await worth(gossipd, peer.conn_id)
    assert (found.good, found.redundant, found.score) == (len(big_map()), 2 * len(big_map()), 0)
