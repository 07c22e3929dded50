"""What the chain and gossipd have to say to each other while a gossipd dies and another one is there."""

import asyncio
from typing import Any

from lightningd_py.chain.source import Answered, Output
from lightningd_py.daemons.gossip_control import GossipControl
from lightningd_py.news.topics import Topics
from lightningd_py.owners.peers import Event
from tests.gossipd.gossipd_process import peer_info
from tests.lightningd_py.bus_services import turn
from tests.lightningd_py.ownership_among_fakes import Daemon, OwnershipAmongFakes
from wire.control.control_message import Reply, Request
from wire.control.control_wire import FeedPeersWanted, GetTxout, OutpointsSpent, OutpointsSpentReply, PeerInfo


class Chain:
    """Answers when the test does."""

    blockheight = 144

    def __init__(self) -> None:
        self.answers: list[Answered] = []

    def look_up(self, scid: int, script: bytes, answered: Answered) -> None:
        self.answers.append(answered)


class Own:
    """Learns nothing of where it is."""

    def heard(self, info: PeerInfo) -> bool:
        return False


class Gossipd(Daemon):
    """Keeps what it is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[Reply] = []

    def reply(self, request: Request, reply: Reply) -> None:
        self.replies.append(reply)


async def test_an_answer_is_for_the_gossipd_that_has_asked() -> None:
    around, chain, old, new = OwnershipAmongFakes(), Chain(), Gossipd(), Gossipd()
    anyhow: Any = chain
    gossip, around.ownership.gossipd = GossipControl(around.ownership, anyhow, anyhow, Topics()), as_channel(old)
    gossip.received(GetTxout(7, b"script"), around.ownership.gossipd)
    around.ownership.gossipd = as_channel(new)
    gossip.received(GetTxout(8, b"script"), around.ownership.gossipd)
    for answered in chain.answers:
        answered(Output(1, b"script"))
    assert (len(old.replies), len(new.replies)) == (1, 1)


async def test_what_the_chain_says_is_said_until_a_gossipd_has_it() -> None:
    around, chain, new = OwnershipAmongFakes(), Chain(), Gossipd()
    anyhow: Any = chain
    gossip, around.ownership.gossipd = GossipControl(around.ownership, anyhow, anyhow, Topics()), as_channel(Gossipd())
    saying = asyncio.create_task(gossip.outpoints_spent(144, [7]))
    await turn()
    assert not saying.done()
    new.answer = lambda request: OutpointsSpentReply()
    around.ownership.gossipd = as_channel(new)
    gossip.returned()
    await saying
    assert new.asked == [OutpointsSpent(144, [7])]


async def test_connections_are_told_to_a_gossipd_until_it_says_that_no_one_takes_them() -> None:
    around, old, new = OwnershipAmongFakes(), Gossipd(), Gossipd()
    anyhow: Any = Own()
    gossip, around.ownership.gossipd = GossipControl(around.ownership, anyhow, anyhow, Topics()), as_channel(old)
    peer = around.ownership.peers.begin(peer_info(7), Event.PEER_TAKEN, "gossipd")

    def told(by: Gossipd) -> list[str]:
        gossip.peer_came(peer)
        gossip.peer_went(peer, "enough")
        return [message.name() for message in by.take()]

    both = ["feed_peer_connected", "feed_peer_disconnected"]
    assert told(old) == both
    gossip.received(FeedPeersWanted(wanted=False), as_channel(old))
    assert told(old) == []
    gossip.received(FeedPeersWanted(wanted=True), as_channel(old))
    assert told(old) == both
    gossip.received(FeedPeersWanted(wanted=False), as_channel(old))
    around.ownership.gossipd = as_channel(new)
    assert told(new) == both


def as_channel(gossipd: Any) -> Any:
    return gossipd
