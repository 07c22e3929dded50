"""Offences with the real process: warnings, ignoring, disconnection, and what each peer's gossip was worth."""

import pytest

from gossipd.peers.score import IGNORE_AT, UNWANTED
from gossipd.verdict import Verdict
from tests.gossipd.gossipd_process import GossipdProcess
from tests.gossipd.messages import NOW, announcement, big_map, spoilt, update
from tests.gossipd.owner import released
from wire.control.control_wire import GossipStatus, GossipStatusReply, PeerDisconnected, PeerGossip
from wire.peer_wire import WarningMessage, decode

FUTURE = update(timestamp=NOW + 200_000)
WRONG = [spoilt(announcement(number), 3) for number in range(12)]


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
    assert (found.good, found.redundant, found.rate_limited, found.bad) == (16, 1, 4, 1)
    assert (found.score, found.ignored) == (20, False)
    assert await worth(gossipd, other.conn_id) == PeerGossip(other.conn_id, 0, 0, 0, 0, 0, False)


@pytest.mark.bolt("B7-62")
async def test_wrong_signatures_come_to_an_end(gossipd: GossipdProcess) -> None:
    """Each gets its warning; five are enough to be ignored, ten to be hung up on."""
    peer = await gossipd.connect()
    await peer.say(*WRONG)
    said = warnings(await peer.is_hung_up_on())
    assert said[-1] == "too much of your gossip was bad"
    assert sum("bad node_signature_1" in text for text in said) == 10
    assert sum("ignored for 300 seconds" in text for text in said) == 1
    assert (await gossipd.hear(PeerDisconnected)).reason == "too much of your gossip was bad"


async def test_ignored(gossipd: GossipdProcess) -> None:
    """Its gossip is not looked at, its pings are answered; another peer's gossip is taken."""
    peer, other = await gossipd.connect(), await gossipd.connect()
    await peer.say(announcement())
    await gossipd.sync_all()
    enough = int(IGNORE_AT / UNWANTED[Verdict.FUTURE]) + 1
    await peer.say(*[FUTURE] * enough)
    assert warnings(await peer.sync())[-1].startswith("your gossip is ignored for 300 seconds")
    await peer.say(announcement(1), update(1), *WRONG)
    await peer.sync()
    assert (await worth(gossipd, peer.conn_id)).ignored
    assert (await gossipd.settled())["channels"] == 0
    await other.say(announcement(1), update(1))
    await gossipd.settled_at("channels", 1)


async def test_remembered_when_it_comes_back(gossipd: GossipdProcess) -> None:
    for number in range(5):
        peer = await gossipd.connect()
        await peer.say(announcement(5), spoilt(update(5, timestamp=NOW - number), 3))
        await peer.is_hung_up_on()
        await gossipd.hear(PeerDisconnected)
    back = await gossipd.connect()
    assert (await worth(gossipd, back.conn_id)).ignored


async def test_a_peer_of_a_service_keeps_its_link(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.sync()
    owner = await released(gossipd, peer.conn_id)
    for message in WRONG:
        owner.gossip.send(message)
    await gossipd.settled_at("bad", len(WRONG))
    found = await worth(gossipd, peer.conn_id)
    assert found.ignored
    assert found.score == 20 * len(WRONG)
    assert gossipd.said.empty()
    owner.hangs_up()


async def test_a_map_that_we_have_costs_nothing(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    for _ in range(3):
        await peer.say(*big_map())
        await peer.sync()
        await gossipd.settled()
    found = await worth(gossipd, peer.conn_id)
    assert (found.good, found.redundant, found.score) == (len(big_map()), 2 * len(big_map()), 0)
