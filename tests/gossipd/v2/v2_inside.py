"""gossipd on the test's own loop that judges gossip v2, a chain that the test is, and what the feed says of it all."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gossipd.v2.intake import GossipV2
from lightningd_py.tools.synthetic_gossip_v2 import FUNDINGS, SyntheticGossip2
from lightningd_py.tools.synthetic_map import SyntheticMap, random_edges, scid_of
from tests.gossipd.gossipd_process import HEIGHT, FakePeer
from tests.gossipd.ingest.gossipd_inside import Inside
from tests.gossipd.messages import NOW
from tests.harness.injected_time import InjectedTime
from wire.bus.feed import Gossip, decode
from wire.control.control_message import ControlMessage
from wire.control.control_wire import GetTxout, GetTxoutReply

MADE = SyntheticMap(random_edges(3, 12, 6), 3, NOW)
GOSSIP = SyntheticGossip2(MADE, HEIGHT)
OF_ALL_KINDS = SyntheticGossip2(MADE, HEIGHT, FUNDINGS)
UNKNOWN = ("rejected", "no channel_announcement_2 is known that it belongs to")


class V2(Inside):
    """The daemon, with its gossip v2 to be looked at."""

    said_by_feed: list[Gossip]

    @property
    def room(self) -> GossipV2:
        room = self.gossipd.gossip_v2
        assert isinstance(room, GossipV2)
        return room

    def listen(self) -> None:
        """Take the feed's arrivals from now on."""
        self.said_by_feed = []
        self.gossipd.feed.send = self._heard
        self.gossipd.feed.subscribed(b"gossip.", wanted=True)

    def _heard(self, topic: bytes, body: bytes) -> None:
        message = decode(topic, body)
        assert isinstance(message, Gossip)
        self.said_by_feed.append(message)

    def outcomes(self, raw: bytes) -> list[tuple[str, str]]:
        """What the feed has said of a message, in order."""
        return [(each.outcome, each.reason) for each in self.said_by_feed if each.raw == raw]

    def kept(self) -> list[bytes]:
        """The messages that are kept, sorted."""
        return sorted(record.message for record in self.room.kept.table.values.values())

    def answer(self, outputs: dict[int, tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """Be the chain, in which these outputs are, by scid; returns what will be asked for, scid and script."""
        asked: list[tuple[int, bytes]] = []
        hear = self.master._on_message

        def received(message: ControlMessage) -> None:
            if not isinstance(message, GetTxout):
                hear(message)
                return
            asked.append((message.short_channel_id, message.script))
            there = outputs.get(message.short_channel_id)
            reply = GetTxoutReply(0, b"", "there is none", forged=True) if there is None else GetTxoutReply(*there, "")
            self.master.reply(message, reply)

        self.master._on_message = received
        return asked


def run(directory: Path, story: Callable[[V2], Awaitable[None]], **changes: Any) -> None:
    """A story with a daemon that was started with these changes of its init."""
    with asyncio.Runner(loop_factory=InjectedTime) as runner:
        runner.run(_run(directory, story, changes))


async def _run(directory: Path, story: Callable[[V2], Awaitable[None]], changes: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, InjectedTime)
    inside = V2(directory, loop)
    try:
        await inside.start(**({"gossip_v2": True} | changes))
        await story(inside)
    finally:
        inside.clean_up()


def outputs_of(gossip: SyntheticGossip2) -> dict[int, tuple[int, bytes]]:
    """What the chain has of a map: amount and script by scid."""
    channels = [gossip.channel(number) for number in range(len(gossip.made.edges))]
    return {scid_of(number): (each.capacity_sat, each.script) for number, each in enumerate(channels)}


async def say(inside: V2, peer: FakePeer, *messages: bytes) -> list[bytes]:
    """Say these, and wait until their fate is decided: what the peer has heard meanwhile but our filter."""
    heard = await ask(inside, peer, *messages)
    await inside.settled()
    heard += await peer.sync()
    return [raw for raw in heard if raw[:2] != b"\x01\x09"]


async def ask(inside: V2, peer: FakePeer, *messages: bytes) -> list[bytes]:
    """The same, but that the chain may not have answered."""
    await peer.say(*messages)
    heard = await peer.sync()
    while inside.gossipd.ingest.checks.waiting:
        await inside.status()
    return heard
