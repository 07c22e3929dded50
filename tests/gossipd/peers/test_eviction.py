"""The real gossipd as time goes by: pings, slow readers, how fast is read, who goes when there are too many."""

import asyncio
import time
from dataclasses import replace

import pytest

from gossipd.peers import eviction as upkeep
from gossipd.peers.eviction import FDS_BESIDES, LEAST_PEERS, Candidate, Upkeep, to_evict
from gossipd.peers.peer import Peer
from gossipd.peers.standing import Standing
from tests.gossipd.bench import CHANNEL
from tests.gossipd.gossipd_process import FakePeer, GossipdProcess, GossipdProcesses, peer_info
from wire.control.control_wire import (
    ChangeWantedNodes,
    ListPeers,
    ListPeersReply,
    PeerDisconnected,
    PeerInfo,
    PeerStats,
)
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.crypto_state import CryptoState
from wire.frames import Frames
from wire.net.owned_peer import OwnedPeer
from wire.net.owned_peers import OwnedPeers
from wire.peer_wire import Ping, Pong, WarningMessage

HASTY = Timing(ping_idle=0.1, ping_timer=(0.01, 0.02), pong_timeout=0.3)
"""With the upkeep's interval of one second, a silent peer is pinged in the first second and gone in the second."""


async def stats(gossipd: GossipdProcess, peer: FakePeer) -> PeerStats:
    reply = await gossipd.master.request(ListPeers(), ListPeersReply)
    (found,) = (row for row in reply.peers if row.conn_id == peer.conn_id)
    return found


async def ended(gossipd: GossipdProcess, peer: FakePeer) -> str:
    """Wait for the end of this one; the reason."""
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


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_a_slow_reader_is_disconnected(gossipds: GossipdProcesses, later: bool) -> None:
    gossipd = gossipds.new()
    await gossipd.start_with(Limits(slow_reader=0.5), later=later)
    peer = await gossipd.connect()
    await peer.say(*[Ping(60_000, b"")] * 20)
    assert await ended(gossipd, peer) == "it does not take what is sent to it"


@pytest.mark.parametrize("later", [False, True], ids=["at the start", "while it runs"])
async def test_no_faster_than_the_rate(gossipds: GossipdProcesses, later: bool) -> None:
    gossipd = gossipds.new()
    await gossipd.start_with(Limits(read_rate=200_000), later=later)
    fast, other = await gossipd.connect(), await gossipd.connect()
    begin = time.monotonic()
    saying = asyncio.create_task(fast.say(*[Ping(65_535, bytes(50_000))] * 15))
    await other.sync()
    assert not saying.done(), "others do not wait"
    await saying
    await fast.sync()
    assert time.monotonic() - begin > 2.0


async def test_of_too_many_one_of_least_use_goes(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(limits=Limits(inbound=2))
    useless, useful = await gossipd.connect(), await gossipd.connect()
    await useful.say(*CHANNEL)
    await useful.sync()
    await gossipd.settled()
    third = await gossipd.connect()
    assert await ended(gossipd, useless) == "too many peers"
    warning = next(raw for raw in await useless.is_hung_up_on() if raw[:2] == b"\0\1")
    assert WarningMessage.decode(warning).text() == "too many peers here"
    wanted, fd, state = gossipd.connection()
    info = replace(peer_info(wanted.conn_id), node_id=bytes([2]) * 33)
    gossipd.master.send(ChangeWantedNodes([info.node_id], []))
    await gossipd.hand_over(info, fd, state)
    outbound, fd, state = gossipd.connection()
    await gossipd.hand_over(replace(peer_info(outbound.conn_id), incoming=False), fd, state)
    for peer in (useful, third, wanted, outbound):
        await peer.sync()


async def test_a_silent_crowd_of_one_network_makes_room_for_newcomers_of_others(gossipd: GossipdProcess) -> None:
    """Each newcomer comes in and stays; the crowd loses one for each, of its youngest."""
    crowd = [await gossipd.connect(address=f"127.9.0.1:{port}") for port in range(1, 101)]
    newcomers, gone = [], []
    for number in range(20):
        newcomers.append(await gossipd.connect(address=f"127.{number + 10}.0.1:9735"))
        gone.append((await gossipd.hear(PeerDisconnected)).conn_id)
    for newcomer in newcomers:
        await newcomer.sync()
    assert set(gone) <= {peer.conn_id for peer in crowd[50:]}
    assert gone == sorted(gone, reverse=True)


async def test_a_crowd_that_comes_again_and_again_pushes_itself_out(gossipds: GossipdProcesses) -> None:
    gossipd = gossipds.new()
    await gossipd.start(limits=Limits(inbound=10))
    honest = [await gossipd.connect(address=f"127.{number}.0.1:9735") for number in range(10, 15)]
    for port in range(1, 101):
        await gossipd.connect(address=f"127.9.0.{1 + port % 5}:{port}")
        if port > 5:
            assert (await gossipd.hear(PeerDisconnected)).conn_id > honest[-1].conn_id
    for peer in honest:
        await peer.sync()


def candidates(count: int, group: str = "a", first: int = 1) -> list[Candidate]:
    return [Candidate(conn_id, group, 0, 0.0, None) for conn_id in range(first, first + count)]


def evicted(candidates: list[Candidate], secret: bytes = b"s") -> list[int]:
    """The conn_ids of all, in the order in which they would go."""
    order = []
    while candidates:
        order.append(to_evict(candidates, secret))
        candidates = [one for one in candidates if one.conn_id != order[-1]]
    return order


def test_the_youngest_goes_first() -> None:
    assert evicted(candidates(5)) == [5, 4, 3, 2, 1]


def test_the_largest_network_goes_first() -> None:
    """Whichever is younger."""
    assert to_evict([*candidates(8, "a"), *candidates(3, "b", 9)], b"s") == 8
    assert to_evict([*candidates(3, "a"), *candidates(8, "b", 4)], b"s") == 11


@pytest.mark.parametrize("merit", [{"told": 1}, {"told": 9, "told_at": 5.0}, {"latency": 0.001}])
def test_what_protects_a_young_one(merit: dict[str, float]) -> None:
    """Although it is the youngest, among others that have less of it."""
    others = [replace(one, latency=0.1) for one in candidates(40)]
    assert to_evict([*others, Candidate(41, "a", **({"told": 0, "told_at": 0.0, "latency": None} | merit))], b"s") == 40  # type: ignore[arg-type]


def test_who_told_something_last_is_protected_from_those_who_told_much_long_ago() -> None:
    before = [replace(one, told=1_000, told_at=1.0) for one in candidates(40)]
    assert to_evict([*before, Candidate(41, "a", 1, 9.0, None)], b"s") == 40


def test_which_networks_are_protected_is_a_secret() -> None:
    """A stranger cannot choose them, and they are few."""
    crowd = [*candidates(50, "a"), *[Candidate(51 + i, f"b{i}", 0, 0.0, None) for i in range(50)]]
    first = {to_evict(crowd[50:], bytes([secret])) for secret in range(200)}
    assert len(first) > 1
    assert first <= set(range(80, 101)), "the youngest that is not protected"


def test_the_oldest_are_protected_but_not_all_of_one_network() -> None:
    """20 of a network and 20 others: the younger ones of the network go first, and its oldest are among the last."""
    young = [Candidate(21 + i, f"b{i}", 0, 0.0, None) for i in range(20)]
    order = evicted([*candidates(20, "a"), *young])
    assert set(order[:8]) <= set(range(9, 21))
    assert {1, 2} <= set(order[-5:])


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


async def test_what_services_have_counts() -> None:
    """Strangers, that is: not nodes that are wanted, and not those that we have dialled."""
    gone: list[int] = []

    def end(peer: Peer, last_words: list[bytes], reason: str) -> None:
        gone.append(peer.info.conn_id)

    here = Lines([peer_info(1), peer_info(2)])
    wanted = replace(peer_info(3), node_id=bytes([2]) * 33)
    elsewhere = [wanted, replace(peer_info(4), incoming=False), peer_info(5)]
    some = Upkeep(here, end, {}, Lines(elsewhere).peers(), Limits(inbound=3), lambda: 0.5)
    some.wanted = {wanted.node_id}
    some.came(2)
    assert gone == []
    here.infos.append(peer_info(6))
    some.came(6)
    some.close()
    assert len(gone) == 1
    assert gone != [6]
