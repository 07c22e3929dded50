"""A program's connection when the peer, or gossipd, takes nothing: nothing waits without limit, and nothing is lost."""

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from tests.gossipd.messages import scid, update
from tests.wire.program_surroundings import (
    FILTER,
    FUNDING,
    GOSSIP,
    NODE,
    PING,
    THEIRS,
    Around,
    closed_with,
)
from wire.control.control_socket import receive_message
from wire.control.control_wire import (
    Disconnect,
    GiveBack,
    ListPeers,
    ListPeersReply,
    PeerDisconnected,
    PeerGivenBack,
    SendMessage,
    SendMessageReplyfail,
)
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.frames import Frames
from wire.net.gossip_fd import GOSSIP_START, GossipOwed, drain, is_owed
from wire.peer_wire import ChannelUpdate, decode
from wire.peer_wire import Ping as PeerPing
from wire.peer_wire import Pong as PeerPong
from wire.program import TakenPeer, taken_peer


@pytest.fixture
def around() -> Iterator[Around]:
    around = Around()
    yield around
    around.close()


@pytest.fixture
def taken(around: Around) -> Iterator[TakenPeer]:
    taken = taken_peer(around.program_end)
    assert around.gossipd.recv(100) == GOSSIP_START
    yield taken
    closed_with(taken)


BIG = b"\x80\x01" + bytes(60_000)
MANY = 100
"""Of BIG: more than any socket takes."""


def test_a_peer_that_reads_nothing_can_be_given_back(around: Around, taken: TakenPeer) -> None:
    """While `say` waits; what was said goes along, and what the service has not heard stays unread."""
    around.say(PeerPing(num_pong_bytes=3, ignored=b"").encode(), FUNDING, GOSSIP)
    around.order(ListPeers(request_id=5))
    around.order(GiveBack(7))
    for _ in range(MANY):
        taken.say(BIG)
    assert around.told(ListPeersReply).request_id == 5
    returned = around.told(PeerGivenBack)
    frames = Frames(returned.state.crypto, returned.state.unread)
    assert list(frames.feed(b"")) == [FUNDING, GOSSIP]
    returned.close_fds()
    heard: list[bytes] = []
    frames = Frames(THEIRS)
    while data := around.peer.recv(65536):
        heard += frames.feed(data)
    for start in range(0, len(returned.state.unsent), 65536):
        heard += frames.feed(returned.state.unsent[start : start + 65536])
    assert heard.count(BIG) == len(heard) - 1
    assert PeerPong(ignored=bytes(3)).encode() in heard


def test_a_peer_that_reads_nothing_can_be_disconnected(around: Around, taken: TakenPeer) -> None:
    around.order(Disconnect(NODE, 7, [], "no more"))
    for _ in range(MANY):
        taken.say(BIG)
    assert around.told(PeerDisconnected).reason == "no more"


@pytest.mark.parametrize("hears", [False, True])
def test_a_slow_reader_is_ended(hears: bool) -> None:
    around = Around(limits=Limits(slow_reader=0.05))
    taken = taken_peer(around.program_end)
    if hears:
        while not taken._owner._unsent:
            taken.say(b"\x80\x01" + bytes(10_000))
        assert taken.hear() is None
    else:
        for _ in range(MANY):
            taken.say(BIG)
    assert around.told(PeerDisconnected).reason == "it does not take what is sent to it"
    closed_with(taken)
    around.close()


def test_what_waits_for_the_peer_is_bounded(around: Around, taken: TakenPeer) -> None:
    """The master is told that the peer does not read; gossip stays at gossipd."""
    while not taken._owner._unsent:
        taken.say(b"\x80\x01" + bytes(10_000))
    around.gossipd.setblocking(False)
    while taken._owner._outbox.waiting < 55_000:
        taken.say(b"\x80\x01" + bytes(10_000))
    packets = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            around.gossipd.send(GOSSIP + bytes(10_000))
            packets += 1
    for number in range(15):
        around.order(SendMessage(NODE, 7, b"\x80\x01" + bytes(1_000), request_id=number))
    around.order(GiveBack(7))
    assert taken.hear() is None
    replies = [receive_message(around.control, "program") for _ in range(15)]
    assert sum(isinstance(reply, SendMessageReplyfail) for reply in replies) >= 4
    returned = around.told(PeerGivenBack)
    assert len(returned.state.unsent) < 200_000
    assert returned.gossip_fd is not None
    with socket.socket(fileno=returned.gossip_fd) as gossip:
        assert len(drain(gossip)) >= packets - 5
    os.close(returned.peer_fd)


def scids_of(packets: list[bytes]) -> set[int]:
    """What they are about, or say that is owed."""
    found: set[int] = set()
    for packet in packets:
        found |= set(GossipOwed.decode(packet).channels) if is_owed(packet) else {short_id(packet)}
    return found


def short_id(message: bytes) -> int:
    update = decode(message)
    assert isinstance(update, ChannelUpdate)
    return update.short_channel_id


def test_gossipd_that_reads_nothing() -> None:
    """Pings and the service's messages do not wait behind gossip, and what gossipd did not get is owed."""
    around = Around(timing=Timing(backpressure_pause=0.01))
    taken = taken_peer(around.program_end)
    for begin in range(0, 1_000, 50):
        around.say(*(update(number) for number in range(begin, begin + 50)), FILTER, PING, FUNDING)
        assert taken.hear() == FUNDING
        assert decode(around.hear()) == PeerPong(ignored=b"")
    around.gossipd.setblocking(False)
    packets = drain(around.gossipd)
    around.order(GiveBack(7))
    assert taken.hear() is None
    packets += drain(around.gossipd)
    gossip = [packet for packet in packets if packet not in (GOSSIP_START, FILTER)]
    assert scids_of(gossip) == {scid(number) for number in range(1_000)}
    assert any(map(is_owed, gossip))
    returned = around.told(PeerGivenBack)
    assert FILTER in (packets + returned.state.gossip)
    returned.close_fds()
    closed_with(taken)
    around.close()


def test_what_finds_no_room_goes_with_the_connection() -> None:
    """And comes with it to the next owner, which has no more luck at first."""
    left_over: list[bytes] = []
    for number in range(2):
        around = Around(timing=Timing(backpressure_pause=0.0), left_over=left_over)
        if number:
            around.gossipd.close()
        taken = taken_peer(around.program_end)
        if not number:
            with contextlib.suppress(BlockingIOError):
                while taken._owner._gossip is not None:
                    taken._owner._gossip.send(bytes(1_000))
            around.say(update(1), update(2), FILTER, update(3), FUNDING)
            assert taken.hear() == FUNDING
        taken.give_back()
        returned = around.told(PeerGivenBack)
        left_over = returned.state.gossip
        assert left_over[1:] == [FILTER]
        assert scids_of(left_over[:1]) == {scid(1), scid(2), scid(3)}
        returned.close_fds()
        closed_with(taken)
        around.close()
