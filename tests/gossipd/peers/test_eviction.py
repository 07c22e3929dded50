"""The real gossipd as time goes by: pings, slow readers, how fast is read, who goes when there are too many."""

import asyncio
import time
from dataclasses import replace

import pytest

from gossipd.peers import eviction as upkeep
from gossipd.peers.eviction import FDS_BESIDES, LEAST_PEERS, Upkeep
from gossipd.peers.peer import Peer
from gossipd.peers.standing import Standing
from tests.gossipd.bench import CHANNEL
from tests.gossipd.gossipd_process import FakePeer, GossipdProcess, GossipdProcesses, peer_info
from wire.control.control_wire import ListPeers, ListPeersReply, PeerDisconnected, PeerInfo, PeerStats, SetWantedNodes
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.frames import CryptoState, Frames
from wire.net.owned_peers import OwnedPeer, OwnedPeers
from wire.peer_wire import Ping, Pong, WarningMessage

HASTY = Timing(ping_idle=0.1, ping_timer=(0.01, 0.02), pong_timeout=0.3)
"""With the upkeep's interval of one second, a silent peer is pinged in the first second and gone in the second."""


async def stats(gossipd: GossipdProcess, peer: FakePeer) -> PeerStats:
    reply = await gossipd.master.request(ListPeers(), ListPeersReply)
    (found,) = (row for row in reply.peers if row.conn_id == peer.conn_id)
    return found


async def ended(gossipd: GossipdProcess, peer: FakePeer) -> str:
    """It is this one that has ended; the reason."""
    said = await gossipd.hear(PeerDisconnected)
    assert said.conn_id == peer.conn_id
    return said.reason


async def test_a_silent_peer_is_pinged_and_its_latency_known(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(timing=replace(HASTY, pong_timeout=60.0))
    peer = await gossipd.connect()
    assert (await stats(gossipd, peer)).latency is None
    ping = await peer.hear(Ping)
    await peer.say(Pong(bytes(ping.num_pong_bytes)))
    await peer.sync()
    latency = (await stats(gossipd, peer)).latency
    assert latency is not None
    assert 0 < latency < 60


async def test_one_that_does_not_answer_is_gone(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(timing=HASTY)
    peer = await gossipd.connect()
    assert await ended(gossipd, peer) == "it does not answer pings"
    await peer.is_hung_up_on()


async def test_counts(gossipd: GossipdProcess) -> None:
    peer = await gossipd.connect()
    await peer.sync()
    before = (await stats(gossipd, peer)).traffic
    await peer.say(*CHANNEL, Ping(100, b""))
    await peer.hear(Pong)
    await gossipd.settled()
    after = await stats(gossipd, peer)
    assert after.traffic.messages_in - before.messages_in == len(CHANNEL) + 1
    assert after.traffic.messages_out - before.messages_out == 1
    assert after.traffic.bytes_in - before.bytes_in == sum(map(len, CHANNEL)) + 6 + (len(CHANNEL) + 1) * 34
    assert after.traffic.bytes_out - before.bytes_out == 104 + 34
    assert after.novel == len(CHANNEL)


async def test_a_slow_reader_is_disconnected(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(limits=Limits(slow_reader=0.5))
    peer = await gossipd.connect()
    await peer.say(*[Ping(60_000, b"")] * 20)
    assert await ended(gossipd, peer) == "it does not take what is sent to it"


async def test_no_faster_than_the_rate(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(limits=Limits(read_rate=50_000))
    fast, other = await gossipd.connect(), await gossipd.connect()
    begin = time.monotonic()
    saying = asyncio.create_task(fast.say(*[Ping(65_535, bytes(50_000))] * 15))
    await other.sync()
    assert not saying.done(), "others do not wait"
    await saying
    await fast.sync()
    assert time.monotonic() - begin > 2.0


async def test_of_too_many_the_newest_of_least_use_goes(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(limits=Limits(inbound=2))
    useless, useful = await gossipd.connect(), await gossipd.connect()
    await useful.say(*CHANNEL)
    await gossipd.settled()
    third = await gossipd.connect()
    assert await ended(gossipd, third) == "too many peers"
    warning = next(raw for raw in await third.is_hung_up_on() if raw[:2] == b"\0\1")
    assert WarningMessage.decode(warning).text() == "too many peers here"
    wanted, fd, state = gossipd.connection()
    info = replace(peer_info(wanted.conn_id), node_id=bytes([2]) * 33)
    gossipd.master.send(SetWantedNodes([info.node_id]))
    await gossipd.hand_over(info, fd, state)
    outbound, fd, state = gossipd.connection()
    await gossipd.hand_over(replace(peer_info(outbound.conn_id), incoming=False), fd, state)
    for peer in (useless, useful, wanted, outbound):
        await peer.sync()


class Lines(OwnedPeers[Peer]):
    """Owned connections without sockets."""

    def __init__(self, infos: list[PeerInfo]) -> None:
        self.infos = infos

    def __len__(self) -> int:
        return len(self.infos)

    def peers(self) -> list[Peer]:
        return [Peer(info, None, Standing()) for info in self.infos]  # type: ignore[arg-type]

    def owned_peer(self, conn_id: int) -> OwnedPeer[Peer]:
        return OwnedPeer(self.peers()[0], Frames(CryptoState(0, 0, *[bytes(32)] * 4)), 0.0, Timing())


async def test_with_few_fds_even_those_whom_we_dialled_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "raise_fd_limit", lambda: FDS_BESIDES)
    gone: list[int] = []

    def end(peer: Peer, last_words: list[bytes], reason: str) -> None:
        gone.append(peer.info.conn_id)

    infos = [replace(peer_info(conn_id), incoming=False) for conn_id in range(1, LEAST_PEERS + 2)]
    some = Upkeep(Lines(infos), end, {}, (), Limits(), lambda: 0.5)
    some.came(1)
    some.close()
    assert gone == [LEAST_PEERS + 1]
