"""What the chain does to the map, with the real gossipd: early and spent channels, somebody else's store."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from gossipd.chain import OnChain
from gossipd.gossmap import Gossmap
from tests.gossipd.gossipd_process import HEIGHT, GossipdProcess, GossipdProcesses
from tests.gossipd.messages import BITCOIN_KEYS, NOW, announcement, scid, update
from tests.gossipd.writer import Writer
from tests.gossipd.writer import scid as map_scid
from wire.control.control_wire import (
    ChainReorganised,
    ChainReorganisedReply,
    GetTxout,
    GetTxoutReply,
    NewBlockheight,
    OutpointsSpent,
    OutpointsSpentReply,
    UnwatchedChannels,
    UnwatchedChannelsReply,
)
from wire.gossip_v2.keys import multisig_script
from wire.scid import scid_to_text

SCRIPT = multisig_script(BITCOIN_KEYS[0][1], BITCOIN_KEYS[1][1])
THERE = 5_000, SCRIPT, ""


async def with_channels(gossipds: GossipdProcesses, count: int) -> GossipdProcess:
    """A gossipd that follows a chain, and has proven so many channels."""
    gossipd = gossipds.new()
    await gossipd.start(check_txout=True)
    peer = await gossipd.connect()
    await peer.say(*(message for number in range(count) for message in (announcement(number), update(number))))
    for _ in range(count):
        gossipd.master.reply(await gossipd.hear(GetTxout), GetTxoutReply(*THERE))
    assert (await gossipd.settled())["channels"] == count
    return gossipd


def dying(gossipd: GossipdProcess) -> dict[int, int | None]:
    with Gossmap(gossipd.store) as gossmap:
        return {channel.short_channel_id: channel.dying_at for channel in gossmap.channels()}


@pytest.mark.bolt("B7-66")
async def test_spent_channels_die_and_go_after_72_blocks(gossipds: GossipdProcesses) -> None:
    gossipd = await with_channels(gossipds, 2)
    await gossipd.master.request(OutpointsSpent(HEIGHT + 1, [scid(0)]), OutpointsSpentReply)
    assert dying(gossipd) == {scid(0): HEIGHT + 73, scid(1): None}
    gossipd.master.send(NewBlockheight(HEIGHT + 72))
    assert (await gossipd.status())["channels"] == 2
    gossipd.master.send(NewBlockheight(HEIGHT + 73))
    status = await gossipd.status()
    assert (status["channels"], status["dying"]) == (1, 0)
    peer = await gossipd.connect()
    await peer.say(announcement(0))
    await peer.sync()
    assert (await gossipd.settled())["closed"] == 1


@pytest.mark.bolt("B7-78")
async def test_only_updates_that_disable_a_spent_channel_are_taken(gossipds: GossipdProcesses) -> None:
    gossipd = await with_channels(gossipds, 1)
    await gossipd.master.request(OutpointsSpent(HEIGHT + 1, [scid(0)]), OutpointsSpentReply)
    peer = await gossipd.connect()
    await peer.say(update(0, timestamp=NOW + 1), update(0, timestamp=NOW + 2, disable=True))
    await peer.sync()
    status = await gossipd.settled()
    assert (status["closed"], status["accepted"]) == (1, 3)
    with Gossmap(gossipd.store) as gossmap:
        (channel,) = gossmap.channels()
        half = channel.direction(0)
        assert half is not None and half.timestamp == NOW + 2


async def test_a_reorganisation_brings_them_back(gossipds: GossipdProcesses) -> None:
    gossipd = await with_channels(gossipds, 2)
    await gossipd.master.request(OutpointsSpent(HEIGHT + 1, [scid(0), scid(1)]), OutpointsSpentReply)
    await gossipd.master.request(ChainReorganised(HEIGHT, [scid(1)]), ChainReorganisedReply)
    assert dying(gossipd) == {scid(0): HEIGHT + 73, scid(1): None}


async def test_a_reorganisation_that_is_deeper_than_is_remembered(gossipds: GossipdProcesses) -> None:
    """What went because it was spent may be announced again: the chain is asked, not our memory."""
    gossipd = await with_channels(gossipds, 2)
    await gossipd.master.request(OutpointsSpent(HEIGHT + 1, [scid(0)]), OutpointsSpentReply)
    gossipd.master.send(NewBlockheight(HEIGHT + 73))
    assert (await gossipd.status())["channels"] == 1
    await gossipd.master.request(ChainReorganised(0, []), ChainReorganisedReply)
    peer = await gossipd.connect()
    await peer.say(announcement(0), update(0))
    gossipd.master.reply(await gossipd.hear(GetTxout), GetTxoutReply(*THERE))
    assert (await gossipd.settled())["channels"] == 2


async def test_spent_before_it_was_written(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(check_txout=True)
    peer = await gossipd.connect()
    await peer.say(announcement(0))
    gossipd.master.reply(await gossipd.hear(GetTxout), GetTxoutReply(*THERE))
    await gossipd.settled()
    await gossipd.master.request(OutpointsSpent(HEIGHT + 1, [scid(0)]), OutpointsSpentReply)
    await peer.say(update(0))
    await peer.sync()
    assert (await gossipd.settled())["channels"] == 0


async def test_a_splice(gossipds: GossipdProcesses) -> None:
    """The old channel stays on the map while the new one, of the same nodes, gets its confirmations."""
    gossipd = await with_channels(gossipds, 1)
    await gossipd.master.request(OutpointsSpent(HEIGHT + 1, [scid(0)]), OutpointsSpentReply)
    peer = await gossipd.connect()
    spliced = HEIGHT + 1 - 100  # messages.scid adds 100
    await peer.say(announcement(spliced), update(spliced))
    await peer.sync()
    gossipd.master.send(NewBlockheight(HEIGHT + 5))
    status = await gossipd.settled()
    assert (status["channels"], status["early"]) == (1, 1)
    gossipd.master.send(NewBlockheight(HEIGHT + 6))
    gossipd.master.reply(await gossipd.hear(GetTxout), GetTxoutReply(*THERE))
    assert (await gossipd.settled())["channels"] == 2
    assert dying(gossipd) == {scid(0): HEIGHT + 73, scid(spliced): None}
    gossipd.master.send(NewBlockheight(HEIGHT + 73))
    assert (await gossipd.status())["channels"] == 1


async def test_a_map_that_was_never_looked_up(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start()
    peer = await gossipd.connect()
    await peer.say(*(message for number in range(3) for message in (announcement(number), update(number))))
    await peer.sync()
    assert (await gossipd.settled())["channels"] == 3
    await gossipds.end(gossipd)
    again = gossipds.new()
    await again.start(check_txout=True, unwatched=[scid(0), scid(2)])
    answers = {scid(0): THERE, scid(2): (0, b"", "its output is spent")}
    for _ in range(2):
        question = await again.hear(GetTxout)
        assert question.script == SCRIPT
        again.master.reply(question, GetTxoutReply(*answers[question.short_channel_id]))
    await again.settled_at("dying", 1)
    with Gossmap(again.store) as gossmap:
        assert [channel.capacity_sat for channel in gossmap.channels()] == [5_000, 0, 0]


async def test_a_channel_of_which_nothing_can_be_known_stays(gossipds: GossipdProcesses) -> None:
    """bitcoind is pruned, or has not fetched old blocks yet: no reason to lose the map. New ones are not taken."""
    gossipd = gossipds.new()
    await gossipd.start()
    peer = await gossipd.connect()
    await peer.say(announcement(0), update(0))
    await peer.sync()
    await gossipd.settled()
    await gossipds.end(gossipd)
    again = gossipds.new()
    await again.start(check_txout=True, unwatched=[scid(0)])
    not_known = GetTxoutReply(0, b"", "bitcoind does not give its block", is_known=False)
    again.master.reply(await again.hear(GetTxout), not_known)  # which may come before a peer is taken
    peer = await again.connect()
    await peer.say(announcement(1), update(1))
    again.master.reply(await again.hear(GetTxout), not_known)
    status = await again.settled()
    assert (status["channels"], status["dying"]) == (1, 0)
    assert f"channel {scid_to_text(scid(0))} stays, unchecked: bitcoind does not give its block" in again.log()


async def test_what_is_said_of_the_map_is_all_of_it(gossipds: GossipdProcesses) -> None:
    gossipd = await with_channels(gossipds, 2)
    await gossipds.end(gossipd)
    again = gossipds.new()
    await again.start()
    again.master.send(NewBlockheight(HEIGHT))
    asked = await again.hear(UnwatchedChannels)
    assert asked.short_channel_ids == [scid(0), scid(1)]
    again.master.reply(asked, UnwatchedChannelsReply([]))


class Outputs:
    """The stage for funding outputs, which finds none."""

    unfinished = 0

    def ask(self, scid: int, script: bytes, passed: object, failed: Callable[[str], None], unknown: object) -> None:
        failed("it is spent")

    def new_blockheight(self, blockheight: int) -> None:
        """All are deep enough."""


class Master:
    """A master that has never looked up any of them."""

    async def request(self, known: UnwatchedChannels, reply: type) -> UnwatchedChannelsReply:
        return UnwatchedChannelsReply(known.short_channel_ids)


async def test_channels_that_are_gone_take_one_pass_over_the_map(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(path)
    for channel in range(100):
        writer.full_channel(channel, channel, channel + 1, 10)
        writer.node(channel, 20)
    flushed: asyncio.Queue[None] = asyncio.Queue()
    flush = SimpleNamespace(then=lambda done: flushed.put_nowait(None))
    keeper = SimpleNamespace(store=writer.store, index=writer.index, forgetting=writer.forgetting, flush=flush)
    passes = []
    monkeypatch.setattr(writer.forgetting, "_put_in_order", lambda nodes: passes.append(len(nodes)))
    onchain = OnChain(Master(), keeper, Outputs())  # type: ignore[arg-type]
    onchain.new_blockheight(500)
    await flushed.get()
    assert (len(writer.index.dying), sum(map(bool, passes))) == (100, 1)
    onchain.close()
    writer.close()


async def test_what_was_gathered_is_not_lost_at_the_end(path: Path) -> None:
    writer = Writer(path)
    writer.full_channel(1, 1, 2, 10)
    flush = SimpleNamespace(then=lambda done: None)
    keeper = SimpleNamespace(store=writer.store, index=writer.index, forgetting=writer.forgetting, flush=flush)
    onchain = OnChain(Master(), keeper, Outputs())  # type: ignore[arg-type]
    onchain.new_blockheight(500)
    await asyncio.sleep(0)
    onchain.close()
    assert list(writer.index.dying) == [map_scid(1)]
    writer.close()
