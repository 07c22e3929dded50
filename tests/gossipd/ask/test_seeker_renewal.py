"""Gossip that is lacking, and only peers like LDK: they answer no query for channels, and stream all they have on the
first filter of a connection only. The real gossipd as a process.
"""

import asyncio
from collections.abc import Sequence

import pytest

from tests.gossipd.gossipd_process import CHAIN, FakePeer, GossipdProcesses, PeerGone
from tests.gossipd.messages import announcement, scid, update
from wire.control.control_wire import PeerDisconnected, Resync, ResyncReply
from wire.control.timing import Timing
from wire.encoded import encode_short_ids
from wire.message import BoltMessage
from wire.peer_wire import GossipTimestampFilter, Ping, Pong, QueryChannelRange, ReplyChannelRange, decode

TIMING = Timing(gossip_flush=1.0, stream_quiet=0.2, query_timeout=0.2, probe_interval=0.4, gossip_renewal=1.0)


def gossip(count: int) -> list[bytes]:
    return [message for number in range(count) for message in (announcement(number), update(number))]


class LikeLdk:
    """`streams`: all it has; `knows`: so many channels are in its reply to a range query."""

    def __init__(self, peer: FakePeer, streams: Sequence[bytes], knows: int) -> None:
        self.peer, self.streams, self.knows = peer, streams, knows
        self.first: int | None = None
        """The first timestamp that it was asked for, the first time."""

    async def until_hung_up_on(self) -> None:
        try:
            while True:
                await self.answer(decode(await self.peer.next()))
        except (PeerGone, ConnectionResetError):
            self.peer.close()

    async def answer(self, message: BoltMessage) -> None:
        match message:
            case GossipTimestampFilter(first_timestamp=begin) if self.first is None:
                self.first = begin
                if begin == 0:
                    await self.peer.say(*self.streams)
            case QueryChannelRange():
                known = encode_short_ids([scid(number) for number in range(self.knows)])
                await self.peer.say(ReplyChannelRange(CHAIN, 0, 0xFFFFFFFF, 1, known))
            case Ping(num_pong_bytes=wanted):
                await self.peer.say(Pong(bytes(wanted)))


@pytest.mark.timeout(60)
async def test_what_no_query_brings_comes_with_a_new_connection(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(timing=TIMING)
    first = LikeLdk(await gossipd.connect(), gossip(2), knows=3)
    await first.until_hung_up_on()
    gone = await gossipd.hear(PeerDisconnected)
    assert (gone.conn_id, gone.reason) == (first.peer.conn_id, "gossip is lacking that only a new connection can bring")
    assert (await gossipd.status())["channels"] == 2
    second = LikeLdk(await gossipd.connect(), gossip(3), knows=4)
    being = asyncio.create_task(second.until_hung_up_on())
    await gossipd.settled_at("channels", 3)
    await being
    assert (await gossipd.hear(PeerDisconnected)).conn_id == second.peer.conn_id, "a channel is lacking now, too"
    assert (first.first, second.first) == (0, 0)


async def test_resync_asks_for_everything_again(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(timing=TIMING)
    peer = await gossipd.connect()
    assert (await peer.hear(GossipTimestampFilter)).first_timestamp == 0
    await peer.hear(QueryChannelRange)
    await peer.say(ReplyChannelRange(CHAIN, 0, 0xFFFFFFFF, 1, encode_short_ids([])))
    await gossipd.master.request(Resync(), ResyncReply)
    assert (await peer.hear(GossipTimestampFilter)).first_timestamp == 0
