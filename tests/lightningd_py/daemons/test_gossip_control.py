"""What the chain and gossipd have to say to each other while a gossipd dies and another one is there."""

import asyncio
from typing import Any

from lightningd_py.chain.source import Answered, Output
from lightningd_py.daemons.gossip_control import GossipControl
from tests.lightningd_py.bus_services import turn
from tests.lightningd_py.ownership_among_fakes import Daemon, OwnershipAmongFakes
from wire.control.control_message import Reply, Request
from wire.control.control_wire import GetTxout, OutpointsSpent, OutpointsSpentReply


class Chain:
    """Answers when the test does."""

    blockheight = 144

    def __init__(self) -> None:
        self.answers: list[Answered] = []

    def look_up(self, scid: int, script: bytes, answered: Answered) -> None:
        self.answers.append(answered)


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
    gossip, around.ownership.gossipd = GossipControl(around.ownership, anyhow, anyhow), as_channel(old)
    gossip.received(GetTxout(7, b"script"), around.ownership.gossipd)
    around.ownership.gossipd = as_channel(new)
    gossip.received(GetTxout(8, b"script"), around.ownership.gossipd)
    for answered in chain.answers:
        answered(Output(1, b"script"))
    assert (len(old.replies), len(new.replies)) == (1, 1)


async def test_what_the_chain_says_is_said_until_a_gossipd_has_it() -> None:
    around, chain, new = OwnershipAmongFakes(), Chain(), Gossipd()
    anyhow: Any = chain
    gossip, around.ownership.gossipd = GossipControl(around.ownership, anyhow, anyhow), as_channel(Gossipd())
    saying = asyncio.create_task(gossip.outpoints_spent(144, [7]))
    await turn()
    assert not saying.done()
    new.answer = lambda request: OutpointsSpentReply()
    around.ownership.gossipd = as_channel(new)
    gossip.returned()
    await saying
    assert new.asked == [OutpointsSpent(144, [7])]


def as_channel(gossipd: Any) -> Any:
    return gossipd
