"""Gossip on its way into the map, with the real process: the chain's answers, faults, a full disk, too much at once."""

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gossipd.gossmap import Gossmap
from gossipd.ingest.checks import DEBT_MARK, PIPELINE_MARK
from gossipd.store.writer import GossipStore
from tests.gossipd.chain_source import ChainSource
from tests.gossipd.gossipd_process import CHAIN, EVERYTHING, PATIENCE, GossipdProcess, GossipdProcesses
from tests.gossipd.messages import (
    BITCOIN_KEYS,
    KEYS,
    NOW,
    announcement,
    big_map,
    node_announcement,
    scid,
    spoilt,
    update,
)
from tests.gossipd.serving import serve
from wire.control.control_channel import RequestFailed
from wire.control.control_wire import (
    AddGossip,
    AddGossipReply,
    GetTxout,
    GetTxoutReply,
    GossipGetAddrs,
    GossipGetAddrsReply,
    PeerDisconnected,
    RandomNodes,
    RandomNodesReply,
)
from wire.control.timing import Timing
from wire.gossip_v2.keys import multisig_script
from wire.peer_wire import (
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    WarningMessage,
    decode,
)

CHANNEL = [announcement(), update(direction=0), update(direction=1)]
SCRIPT = multisig_script(BITCOIN_KEYS[0][1], BITCOIN_KEYS[1][1])
COMPRESSED = QueryShortChannelIds(CHAIN, b"\1" + bytes(8))
"""A query in an encoding that is no more: it earns a warning, and no points."""
CUT_ADDRESS = b"\1\1\2\3\4\0\1" + b"\2\1\2\3"


# the chain


@pytest.mark.bolt("B7-60")
async def test_outputs_are_asked_for(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(check_txout=True)
    peer = await gossipd.connect()
    await peer.say(*(message for number in range(3) for message in (announcement(number), update(number))))
    answers = [(5_000, SCRIPT, ""), (5_000, SCRIPT[:-1] + b"\0", ""), (0, b"", "its output is spent")]
    for number, answer in enumerate(answers):
        asked = await gossipd.hear(GetTxout)
        assert (asked.short_channel_id, asked.script) == (scid(number), SCRIPT)
        gossipd.master.reply(asked, GetTxoutReply(*answer))
    status = await gossipd.settled()
    assert (status["channels"], status["accepted"]) == (1, 2)
    with Gossmap(gossipd.store) as gossmap:
        assert [channel.capacity_sat for channel in gossmap.channels()] == [5_000]
    assert "100x1x0" not in gossipd.log()
    assert "channel 101x1x0 is ignored: its output pays to another script" in gossipd.log()
    assert "channel 102x1x0 is ignored: its output is spent" in gossipd.log()


@pytest.mark.bolt("B7-60")
async def test_no_more_questions_than_the_window(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(check_txout=True)
    peer = await gossipd.connect()
    announcements = [message for message in big_map(1_100, 300) if message[1] == 0]
    await peer.say(*announcements)
    asked = [await gossipd.hear(GetTxout) for _ in range(1_000)]
    await gossipd.sync_all()
    assert gossipd.said.empty()
    for question in asked[:100]:
        gossipd.master.reply(question, GetTxoutReply(0, b"", "its output is spent or was never there"))
    for _ in range(100):
        gossipd.master.reply(
            await gossipd.hear(GetTxout), GetTxoutReply(0, b"", "its output is spent or was never there")
        )
    async with asyncio.timeout(PATIENCE):
        while (await gossipd.status())["unfinished"] != 900:
            pass
    for question in asked[100:]:
        gossipd.master.reply(question, GetTxoutReply(0, b"", "its output is spent or was never there"))
    assert (await gossipd.settled())["channels"] == 0


# faults


@pytest.fixture
async def proven(gossipds: GossipdProcesses) -> AsyncIterator[GossipdProcess]:
    """A gossipd whose chain has every output: without one a badly signed update is held against no peer."""
    gossipd = gossipds.new()
    await gossipd.start(check_txout=True)
    running = asyncio.create_task(ChainSource(gossipd).run())
    yield gossipd
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.mark.bolt("B7-58", "B7-62")
async def test_wrong_announcement_earns_a_warning(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(spoilt(CHANNEL[0], 70), announcement(1, 1, 0))
    text = (await peer.hear(WarningMessage)).data.decode()
    assert text == "channel_announcement 101x1x0: node ids are not in ascending order"
    await gossipd.settled_at("bad", 1)
    assert not [raw for raw in await peer.sync() if isinstance(decode(raw), WarningMessage)], "one is enough"


@pytest.mark.bolt("B7-80")
async def test_wrong_updates_are_passed_over_with_one_warning(proven: GossipdProcess) -> None:
    gossipd = proven
    peer = await gossipd.connect()
    wrong = [spoilt(update(timestamp=NOW - number), 3) for number in range(3)]
    await peer.say(CHANNEL[0], CHANNEL[2])
    await gossipd.settled_at("accepted", 2)
    await peer.say(*wrong, *wrong, CHANNEL[1])
    await gossipd.settled_at("accepted", 3)
    assert (await gossipd.status())["bad"] == 3, "each counts once"
    heard = [decode(raw) for raw in await peer.sync()]
    assert [each.data for each in heard if isinstance(each, WarningMessage)] == [
        b"channel_update 100x1x0/0: bad signature"
    ]


@pytest.mark.bolt("B7-62", "B7-80", "B7-72")
async def test_a_map_with_bad_messages_arrives_whole(proven: GossipdProcess) -> None:
    """Over one connection, wherever in it they stand."""
    gossipd = proven
    peer = await gossipd.connect()
    good = big_map(1_000, 100)
    updates = [message for message in good if message[1] == 2]
    bad = {message: spoilt(message, 9) for message in updates[100::500]}
    bad |= {message: message[:-1] for message in updates[200::600]}
    bad |= {message: message[:100] for message in good if message[1] == 1 and message[-1] % 32 == 0}
    said = [each for message in good for each in ([bad[message], message] if message in bad else [message])]
    await peer.say(*said)
    heard = [decode(raw) for raw in await peer.sync()]
    await gossipd.settled_at("accepted", len(good))
    await peer.say(*bad.values())
    assert sum(isinstance(each, WarningMessage) for each in heard + [decode(raw) for raw in await peer.sync()]) == 1
    status = await gossipd.status()
    assert (status["channels"], status["refused"]) == (1_000, len(bad)), "what is said again counts no more"
    assert len(bad) > 8


async def test_offences_are_counted(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(*[COMPRESSED] * 50)
    for _ in range(50):
        await peer.hear(WarningMessage)
    lines = [line for line in gossipd.log().splitlines() if "query_short_channel_ids" in line]
    assert len([line for line in lines if " UNUSUAL " in line]) == 6, "the 1st, 2nd, 4th, 8th, 16th and 32nd"
    assert "(32 times so far)" in lines[31]


async def test_warnings_to_a_peer_that_does_not_read(gossipd: GossipdProcess) -> None:
    """They are its own doing, so it is not heard any more until it reads them; others are."""
    peer, other = await gossipd.connect(), await gossipd.connect()
    count = 20_000
    saying = asyncio.create_task(peer.say(*[COMPRESSED] * count))
    before = gossipd.rss()
    for _ in range(10):
        await other.sync()
    assert gossipd.rss() < before + 20_000_000
    for _ in range(count):
        await peer.hear(WarningMessage)
    await saying


# too much at once


def stop(gossipd: GossipdProcess) -> list[int]:
    """The signature workers check nothing until they go on."""
    workers = gossipd.workers()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    return workers


def go_on(workers: list[int]) -> None:
    for pid in workers:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.long
async def test_slow_signatures_hold_the_peers_back(gossipds: GossipdProcesses) -> None:
    """What a peer says waits in its socket when the pipeline is full, and nothing is lost."""
    gossipd = gossipds.new()
    await gossipd.start(timing=Timing(backpressure_pause=PATIENCE * 2))
    peer = await gossipd.connect()
    workers = stop(gossipd)
    saying = asyncio.create_task(peer.say(*big_map(3_000, 300)))
    async with asyncio.timeout(PATIENCE):
        while (await gossipd.status())["unfinished"] < PIPELINE_MARK:
            pass
    for _ in range(20):
        assert (await gossipd.status())["unfinished"] < PIPELINE_MARK + 500
    assert not saying.done()
    go_on(workers)
    await saying
    await peer.sync()
    assert (await gossipd.settled())["accepted"] == len(big_map(3_000, 300))


async def test_pings_are_answered_while_gossip_waits(gossipds: GossipdProcesses) -> None:
    """Also behind gossip; queries are answered in their place."""
    gossipd = gossipds.new()
    await gossipd.start(timing=Timing(backpressure_pause=PATIENCE * 2))
    flooding, peer = await gossipd.connect(), await gossipd.connect()
    workers = stop(gossipd)
    saying = asyncio.create_task(flooding.say(*big_map(3_000, 300)))
    async with asyncio.timeout(PATIENCE):
        while (await gossipd.status())["unfinished"] < PIPELINE_MARK:
            pass
    await peer.say(announcement(9_000), update(9_000), QueryChannelRange(CHAIN, 0, 1))
    assert ReplyChannelRange.number not in {int.from_bytes(raw[:2], "big") for raw in await peer.sync()}
    go_on(workers)
    await saying
    await peer.hear(ReplyChannelRange)
    await flooding.sync()
    assert (await gossipd.settled())["accepted"] == len(big_map(3_000, 300)) + 2


async def test_gossip_of_a_peer_that_leaves_while_it_waits_is_owed(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(timing=Timing(backpressure_pause=PATIENCE * 2, stream_quiet=0.1, gossip_flush=1.0))
    flooding, peer = await gossipd.connect(), await gossipd.connect()
    workers = stop(gossipd)
    saying = asyncio.create_task(flooding.say(*big_map(3_000, 300)))
    async with asyncio.timeout(PATIENCE):
        while (await gossipd.status())["unfinished"] < PIPELINE_MARK:
            pass
    await peer.say(announcement(9_000), update(9_000))
    await peer.sync()
    peer.sock.close()
    await gossipd.hear(PeerDisconnected)
    go_on(workers)
    await saying
    serving = asyncio.create_task(serve(flooding, [*big_map(3_000, 300), announcement(9_000), update(9_000)]))
    await gossipd.settled_at("accepted", len(big_map(3_000, 300)) + 2)
    serving.cancel()


@pytest.mark.long
async def test_what_finds_no_room_is_owed_and_asked_for(gossipds: GossipdProcesses) -> None:
    """Reading stops for a moment only: another peer's pings get through all the while, gossip without room is owed,
    and in the end nothing is missing."""
    gossipd = gossipds.new()
    expected = big_map(4_300, 300)
    timing = Timing(gossip_flush=1.0, backpressure_pause=0.1, stream_quiet=3.0)
    await gossipd.start(timing=timing)
    peer, other = await gossipd.connect(), await gossipd.connect()
    workers = stop(gossipd)
    await peer.say(*expected)
    await peer.sync()
    await other.sync()
    status = await gossipd.status()
    assert 0 < status["unfinished"] <= DEBT_MARK
    assert status["owed_messages"] > 0
    go_on(workers)
    serving = [asyncio.create_task(serve(each, expected)) for each in (peer, other)]
    await gossipd.settled_at("accepted", len(expected))
    status = await gossipd.status()
    assert (status["channels"], status["nodes"], status["bad"]) == (4_300, 300, 0)
    for task in serving:
        task.cancel()


# the disk


async def test_full_disk(gossipds: GossipdProcesses) -> None:
    """The log says so, no gossip is taken, pings are answered, and all goes on when there is room."""
    gossipd = gossipds.new()
    await gossipd.start(timing=Timing(backpressure_pause=PATIENCE * 2))
    peer = await gossipd.connect()
    await peer.say(*big_map())
    await peer.sync()
    size = (await gossipd.settled())["store_bytes"]
    old = resource.prlimit(gossipd.process.pid, resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
    more = [announcement(900), update(900)]
    await peer.say(*more)
    await gossipd.logs(f"{gossipd.store} cannot be written (")
    await peer.say(announcement(901), update(901))
    await peer.sync()
    for _ in range(5):
        assert (await gossipd.status())["channels"] == 1_001
    assert gossipd.store.stat().st_size == size
    resource.prlimit(gossipd.process.pid, resource.RLIMIT_FSIZE, old)
    await gossipd.logs(f"{gossipd.store} can be written again")
    await gossipd.settled_at("accepted", len(big_map()) + 4)
    hearer = await gossipd.connect()
    await hearer.say(EVERYTHING)
    assert (await hearer.gossip(len(big_map()) + 4))[-4:] == [*more, announcement(901), update(901)]


async def test_kept_over_a_restart(gossipds: GossipdProcesses, gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.say(*big_map(), announcement(900))
    await peer.sync()
    status = await gossipd.settled()
    await gossipds.end(gossipd)
    again = gossipds.new()
    reply = await again.start()
    assert (reply.channels, reply.nodes, reply.note) == (1_000, 300, "")
    assert (await again.status())["store_bytes"] == status["store_bytes"]
    hearer = await again.connect()
    await hearer.say(EVERYTHING)
    assert sorted(await hearer.gossip(len(big_map()))) == sorted(big_map())


# users, and connectd


async def test_addgossip(gossipd: GossipdProcess) -> None:
    for message in (*CHANNEL, CHANNEL[0], node_announcement(0)):
        await gossipd.master.request(AddGossip(message), AddGossipReply)
    assert (await gossipd.status())["accepted"] == 4
    for message, reason in [
        (spoilt(node_announcement(1), 3), "bad signature"),
        (update(4), "its channel is not known"),
        (b"\0\x12\0\0\0\0", "ping is no gossip message"),
    ]:
        with pytest.raises(RequestFailed, match=reason):
            await gossipd.master.request(AddGossip(message), AddGossipReply)


async def addresses(gossipd: GossipdProcess, node: int) -> list[str]:
    """What connectd is told."""
    return (await gossipd.link.request(GossipGetAddrs(KEYS[node][1]), GossipGetAddrsReply)).addresses


@pytest.mark.bolt("B7-70")
async def test_addresses_of_a_node(gossipd: GossipdProcess) -> None:
    both = b"\1\1\2\3\4\0\1" + b"\2" + bytes(15) + b"\1\x26\x07"
    for message in (*CHANNEL, node_announcement(0, addresses=both)):
        await gossipd.master.request(AddGossip(message), AddGossipReply)
    assert await addresses(gossipd, 0) == ["1.2.3.4:1", "[::1]:9735"]
    assert await addresses(gossipd, 1) == [], "it has not announced itself"
    assert await addresses(gossipd, 5) == [], "it is not known"


async def test_random_nodes(gossipd: GossipdProcess) -> None:
    assert (await gossipd.master.request(RandomNodes(5), RandomNodesReply)).nodes == []
    for message in (*CHANNEL, node_announcement(0, addresses=b"\1\1\2\3\4\0\1"), node_announcement(1)):
        await gossipd.master.request(AddGossip(message), AddGossipReply)
    found = (await gossipd.master.request(RandomNodes(5), RandomNodesReply)).nodes
    assert found == [(KEYS[0][1], ["1.2.3.4:1"])], "the other one has announced no address"
    assert (await gossipd.master.request(RandomNodes(0), RandomNodesReply)).nodes == []


@pytest.mark.bolt("B7-72")
async def test_addresses_in_a_store_that_we_did_not_write(gossipds: GossipdProcesses, tmp_path: Path) -> None:
    store = GossipStore.open(tmp_path / "gossip_store")
    for message in (*CHANNEL, node_announcement(0, addresses=CUT_ADDRESS)):
        store.append(message, 1)
    store.close()
    gossipd = gossipds.new()
    await gossipd.start()
    assert await addresses(gossipd, 0) == []
