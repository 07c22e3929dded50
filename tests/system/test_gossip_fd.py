"""While somebody else owns a peer its gossip flows through the gossip fd, and nothing of it is lost when it moves."""

import asyncio
import os
import signal
import socket

import pytest

from gossipd.ingest.checks import PIPELINE_MARK
from tests.gossipd.gossipd_process import (
    CHAIN,
    EVERYTHING,
    PATIENCE,
    FakePeer,
    GossipdProcess,
    GossipdProcesses,
    is_gossip,
    peer_info,
)
from tests.gossipd.messages import announcement, big_map, node_announcement, scid, spoilt, update
from tests.gossipd.owner import Owner, released, taken
from wire.control.control_message import Fd
from wire.control.control_wire import HandlePeer, PeerDisconnected, PeerFault, PeerTaken
from wire.control.timing import Timing
from wire.encoded import UPDATE_1, UPDATE_2
from wire.net.gossip_fd import GOSSIP_START, GossipOwed, drain
from wire.peer_wire import (
    ChannelAnnouncement,
    Ping,
    QueryChannelRange,
    QueryShortChannelIds,
    ReplyChannelRange,
    WarningMessage,
    decode,
)

CHANNEL = [announcement(), update(direction=0), update(direction=1)]
CUT_QUERY = b"\x01\x07too short"
COMPRESSED = QueryShortChannelIds(CHAIN, b"\1" + bytes(8)).encode()
"""A query in an encoding that is no more: it earns a warning, and the end of an answer, each time."""


async def heard(gossip: socket.socket, count: int) -> list[bytes]:
    """The next packets of a gossip fd."""
    async with asyncio.timeout(PATIENCE):
        return [await asyncio.get_running_loop().sock_recv(gossip, 65_536) for _ in range(count)]


def say(gossip: socket.socket, *packets: bytes) -> None:
    """Write packets into a gossip fd."""
    for packet in packets:
        gossip.send(packet)


async def with_map(gossipd: GossipdProcess) -> list[bytes]:
    """Tell it a map."""
    teller = await gossipd.connect()
    await teller.say(*big_map())
    await teller.sync()
    await gossipd.settled()
    return sorted(big_map())


async def test_gossip_of_a_peer_that_connectd_still_holds(gossipd: GossipdProcess) -> None:
    gossip = await gossipd.connect_elsewhere()
    say(gossip, *CHANNEL)
    await gossipd.settled_at("accepted", 3)
    assert (await gossipd.status())["remote_peers"] == 1


async def test_what_the_owner_could_not_pass_on_is_wanted(gossipd: GossipdProcess) -> None:
    """Packets that are wrong are its mistake, and nobody else's."""
    gossip = await gossipd.connect_elsewhere()
    say(gossip, *CHANNEL)
    await gossipd.settled_at("accepted", 3)
    node_id = ChannelAnnouncement.decode(CHANNEL[0]).node_id_1
    say(gossip, b"\0\0 wrong", GossipOwed({scid(0): UPDATE_1, scid(9): UPDATE_2}, {node_id}).encode())
    await gossipd.settled_at("owed_messages", 3)
    await gossipd.settled_at("wanted", 2)


async def test_nothing_is_written_before_the_owner_begins(gossipd: GossipdProcess) -> None:
    await with_map(gossipd)
    gossip = await gossipd.connect_elsewhere()
    say(gossip, EVERYTHING)
    await gossipd.sync_all()
    assert drain(gossip) == []
    say(gossip, GOSSIP_START)
    first = await heard(gossip, 1 + len(big_map()))
    assert first[0][:2] == EVERYTHING[:2], "our own filter"
    assert sorted(first[1:]) == sorted(big_map())


@pytest.mark.bolt("B7-100")
async def test_both_ways_while_an_owner_has_the_peer(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(timing=Timing(gossip_flush=1.0))
    other, peer = await gossipd.connect(), await gossipd.connect()
    await other.say(EVERYTHING)
    await other.sync()
    owner = await released(gossipd, peer.conn_id)
    say(owner.gossip, GOSSIP_START, EVERYTHING, *CHANNEL)
    assert await other.gossip(3) == CHANNEL
    more = [announcement(1), update(1)]
    await other.say(*more)
    assert await heard(owner.gossip, 2) == more, "and no echo of its own"
    owner.hangs_up()


async def test_queries_through_the_gossip_fd(gossipd: GossipdProcess) -> None:
    gossip = await gossipd.connect_elsewhere()
    query = QueryChannelRange(peer_info(1).networks[0], 0, 1000)
    say(gossip, GOSSIP_START, query.encode())
    assert isinstance(decode((await heard(gossip, 2))[1]), ReplyChannelRange)


async def test_what_is_no_gossip_is_ignored(gossipd: GossipdProcess) -> None:
    gossip = await gossipd.connect_elsewhere()
    say(gossip, GOSSIP_START, Ping(5, b"").encode(), bytes(34), b"\x80\x00", b"\x00")
    await gossipd.sync_all()
    assert await heard(gossip, 1) == [EVERYTHING]
    assert drain(gossip) == []
    assert "ping came through the gossip fd: ignored" in gossipd.log()


@pytest.mark.bolt("B1-7")
async def test_fault_of_a_peer_that_somebody_else_owns(gossipd: GossipdProcess) -> None:
    """The warning goes through the gossip fd, the disconnection is the master's to order."""
    peer = await gossipd.connect()
    owner = await released(gossipd, peer.conn_id)
    say(owner.gossip, GOSSIP_START, CHANNEL[0], CUT_QUERY, CHANNEL[2])
    fault = await gossipd.hear(PeerFault)
    assert fault.conn_id == peer.conn_id
    assert fault.reason.startswith("query_channel_range: ")
    (warning,) = await heard(owner.gossip, 1)
    assert WarningMessage.decode(warning).data == fault.reason.encode()
    await gossipd.settled_at("accepted", 2)
    owner.hangs_up()


@pytest.mark.bolt("B7-68")
async def test_verdict_that_comes_after_the_peer_has_moved(gossipd: GossipdProcess) -> None:
    """Its own gossip was still in check when it was given away: the warning follows it, nothing of it is forgotten."""
    peer = await gossipd.connect()
    await peer.say(*CHANNEL)
    await gossipd.settled_at("accepted", len(CHANNEL))
    await peer.sync()
    gossipd.process.send_signal(signal.SIGSTOP)
    wrong = spoilt(node_announcement(0), 3)
    await peer.say(wrong, node_announcement(1), (32).to_bytes(2, "big") + bytes(64))
    gossipd.process.send_signal(signal.SIGCONT)
    owner = await taken(gossipd)
    say(owner.gossip, GOSSIP_START)
    (warning,) = await heard(owner.gossip, 1)
    text = WarningMessage.decode(warning).data.decode()
    assert text.startswith("node_announcement ") and text.endswith(": bad signature")
    await gossipd.settled_at("accepted", len(CHANNEL) + 1)
    owner.hangs_up()


async def test_owner_that_dies(gossipd: GossipdProcess) -> None:
    """What it wrote before counts; the master has heard of the end from elsewhere, so nothing is said here."""
    peer = await gossipd.connect()
    owner = await released(gossipd, peer.conn_id)
    say(owner.gossip, *CHANNEL)
    owner.hangs_up()
    await gossipd.settled_at("accepted", 3)
    await gossipd.settled_at("remote_peers", 0)
    assert gossipd.said.empty()


async def test_owner_that_dies_with_gossip_unread(gossipd: GossipdProcess) -> None:
    await with_map(gossipd)
    gossip = await gossipd.connect_elsewhere()
    say(gossip, GOSSIP_START, EVERYTHING, announcement(90), update(90))
    await heard(gossip, 1)
    gossip.close()
    await gossipd.settled_at("accepted", len(big_map()) + 2)
    await gossipd.settled_at("remote_peers", 0)


async def flood(gossip: socket.socket, packets: list[bytes]) -> None:
    """Write all of them, as fast as gossipd reads; takes from the list what is written."""
    while packets:
        await asyncio.get_running_loop().sock_sendall(gossip, packets[-1])
        packets.pop()


async def test_full_pipeline_holds_gossip_fds_back(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(timing=Timing(backpressure_pause=PATIENCE * 2))
    gossip = await gossipd.connect_elsewhere()
    workers = gossipd.workers()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    writing = asyncio.create_task(flood(gossip, big_map(1_500, 150)[::-1]))
    async with asyncio.timeout(PATIENCE):
        while (await gossipd.status())["unfinished"] < PIPELINE_MARK:
            pass
    for _ in range(20):
        assert (await gossipd.status())["unfinished"] < PIPELINE_MARK + 100
    assert not writing.done()
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    await writing
    await gossipd.settled_at("accepted", len(big_map(1_500, 150)))


async def test_owner_that_writes_nonsense_and_does_not_read(gossipd: GossipdProcess) -> None:
    """Its warnings are bounded: it is read again when it has read them."""
    gossip = await gossipd.connect_elsewhere()
    count = 10_000
    left = [*[COMPRESSED] * count, GOSSIP_START]
    writing = asyncio.create_task(flood(gossip, left))
    before = 0
    while before != (before := len(left)):  # until it makes no headway any more
        await gossipd.sync_all()
    assert left
    answers = (await heard(gossip, 1 + 2 * count))[1:]
    assert [answer[:2] for answer in answers] == [b"\0\1", b"\1\6"] * count
    await writing


# moving


async def relayed(owner: Owner, peer: FakePeer, count: int) -> list[bytes]:
    """As an owner does: what gossipd writes goes on to the peer, until that has heard so many gossip messages."""

    async def relay() -> None:
        await owner.say()
        say(owner.gossip, GOSSIP_START)
        while True:
            await owner.say(await asyncio.get_running_loop().sock_recv(owner.gossip, 65_536))

    task = asyncio.create_task(relay())
    try:
        return await peer.gossip(count)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_map_goes_on_through_the_gossip_fd(gossipd: GossipdProcess) -> None:
    """A peer asks for everything and moves while it is told: all of it comes, once."""
    expected = await with_map(gossipd)
    peer = await gossipd.connect()
    await peer.say(EVERYTHING)
    first = await peer.gossip(100)
    owner = await released(gossipd, peer.conn_id)
    rest = await relayed(owner, peer, len(expected) - 100)
    assert sorted(first + rest) == expected
    owner.hangs_up()


async def test_what_neither_end_has_read_is_not_lost(gossipd: GossipdProcess) -> None:
    """At give-back both directions hold packets: those to us are taken in, those to the peer are sent to it."""
    expected = await with_map(gossipd)
    peer = await gossipd.connect()
    owner = await released(gossipd, peer.conn_id)
    say(owner.gossip, GOSSIP_START, EVERYTHING)
    await gossipd.sync_all()
    gossipd.process.send_signal(signal.SIGSTOP)
    said = [message for number in range(1_000, 1_040) for message in (announcement(number), update(number))]
    say(owner.gossip, *said)
    gossip_fd = Fd(os.dup(owner.gossip.fileno()))
    state = owner.exported()
    handle = HandlePeer(peer_info(peer.conn_id), state, [b"\x80\x01first"], None, owner.fd, gossip_fd)
    gossipd.master.send(handle)
    owner.gossip.close()
    gossipd.process.send_signal(signal.SIGCONT)
    await gossipd.hear(PeerTaken)
    assert sorted(await peer.gossip(len(expected))) == expected
    own_filter, first = peer.took()
    assert (own_filter[:2], first) == (EVERYTHING[:2], b"\x80\x01first")
    await gossipd.settled_at("accepted", len(expected) + len(said))
    await gossipd.settled_at("remote_peers", 0)
    assert not any(map(is_gossip, await peer.sync())), "the rest is news, and waits for the flush"


async def test_filter_that_came_through_the_gossip_fd_holds_afterwards(gossipd: GossipdProcess) -> None:
    expected = await with_map(gossipd)
    peer = await gossipd.connect()
    owner = await released(gossipd, peer.conn_id)
    say(owner.gossip, EVERYTHING)
    await owner.gives_back()
    assert sorted(await peer.gossip(len(expected))) == expected


async def test_peer_fault_at_give_back(gossipd: GossipdProcess) -> None:
    """The offence lies unread in the gossip fd when the connection comes back: it ends then."""
    peer = await gossipd.connect()
    owner = await released(gossipd, peer.conn_id)
    gossipd.process.send_signal(signal.SIGSTOP)
    say(owner.gossip, CUT_QUERY)
    handle = HandlePeer(
        peer_info(peer.conn_id), owner.exported(), [], None, owner.fd, Fd(os.dup(owner.gossip.fileno()))
    )
    gossipd.master.send(handle)
    owner.gossip.close()
    gossipd.process.send_signal(signal.SIGCONT)
    said = [type(await asyncio.wait_for(gossipd.said.get(), PATIENCE)) for _ in range(2)]
    assert said in ([PeerTaken, PeerDisconnected], [PeerFault, PeerTaken])
    if PeerDisconnected in said:
        await peer.is_hung_up_on()
