"""A service's side of a connection, with the test as the master, the peer and gossipd. docs/programs.md."""

import socket
from collections.abc import Iterator

import pytest

from tests.wire.program_surroundings import FUNDING, GOSSIP, INFO, NODE, OPEN_CHANNEL, OURS, THEIRS, Around, closed_with
from wire.control.control_message import Fd
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import (
    CopiesLost,
    CopyTaken,
    Disconnect,
    GiveBack,
    Heartbeat,
    HeartbeatReply,
    Listen,
    ListPeers,
    ListPeersReply,
    PeerDisconnected,
    PeerGivenBack,
    PeerMessage,
    Ping,
    PingReplyfail,
    Pong,
    SendMessage,
    SendMessageReply,
    SetMessageRoutes,
    SignChannelAnnouncement,
    SignChannelAnnouncementReply,
    SignChannelAnnouncementReplyfail,
)
from wire.control.timing import Timing
from wire.frames import Frames
from wire.net.gossip_fd import GOSSIP_START
from wire.net.pinger import PONG_BYTES
from wire.peer_wire import ErrorMessage, PeerStorage, WarningMessage, decode
from wire.peer_wire import Ping as PeerPing
from wire.peer_wire import Pong as PeerPong
from wire.program import TakenPeer, copies, taken_peer


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


def test_what_it_was_called_for(taken: TakenPeer) -> None:
    assert (taken.info, taken.service, taken.message) == (INFO, "s", OPEN_CHANNEL)


def test_what_came_with_the_connection() -> None:
    """Ciphertext that was not sent goes out first, what was not read is heard first."""
    their = Frames(THEIRS)
    unread = their.encrypt(FUNDING) + their.encrypt(FUNDING)[:30]
    ours = Frames(OURS)
    around = Around(unread, ours.encrypt(b"\x80\x01first"))
    taken = taken_peer(around.program_end)
    assert around.hear() == b"\x80\x01first"
    assert taken.hear() == FUNDING
    taken.give_back()
    returned = around.told(PeerGivenBack)
    assert returned.state.unread == unread[-30:]
    returned.close_fds()
    closed_with(taken)
    around.close()


def test_words_for_the_service(around: Around, taken: TakenPeer) -> None:
    """Whatever else comes with them is dealt with, and not heard."""
    around.say(GOSSIP, b"\x80\x07ignored", PeerPing(num_pong_bytes=3, ignored=b"").encode(), FUNDING, FUNDING)
    assert taken.hear() == FUNDING
    assert around.gossipd.recv(1000) == GOSSIP
    assert decode(around.hear()) == PeerPong(ignored=bytes(3))
    assert taken.hear() == FUNDING


def test_giving_back(around: Around, taken: TakenPeer) -> None:
    """With what stands behind the message that was heard last; nothing is lost."""
    around.say(FUNDING, GOSSIP, b"\x80\x07")
    with taken:
        assert taken.hear() == FUNDING
        taken.say(b"\x80\x01")
    returned = around.told(PeerGivenBack)
    assert (returned.node_id, returned.conn_id, returned.send) == (NODE, 7, [])
    frames = Frames(returned.state.crypto, returned.state.unread)
    assert list(frames.feed(b"")) == [GOSSIP, b"\x80\x07"]
    assert returned.gossip_fd is not None
    with socket.socket(fileno=returned.peer_fd) as peer, socket.socket(fileno=returned.gossip_fd):
        assert around.hear() == b"\x80\x01"
        peer.sendall(frames.encrypt(b"\x80\x03"))
        assert around.hear() == b"\x80\x03"
    assert taken.hear() is None


def test_copies(around: Around, taken: TakenPeer) -> None:
    around.say(b"\x9c\x40copy", FUNDING)
    assert taken.hear() == FUNDING
    assert around.told(PeerMessage).message == b"\x9c\x40copy"


@pytest.mark.bolt("B1-32")
@pytest.mark.parametrize("channel_id", [bytes(32), bytes([9]) * 32])
@pytest.mark.parametrize("kind", [ErrorMessage, WarningMessage])
def test_trouble_is_heard(
    around: Around, taken: TakenPeer, kind: type[ErrorMessage | WarningMessage], channel_id: bytes
) -> None:
    """About its channel, or all of them; the master has its copy as well."""
    trouble = kind(channel_id, b"oh").encode()
    around.say(trouble, FUNDING)
    assert taken.hear() == trouble
    copy = around.told(PeerMessage)
    assert (copy.message, copy.channel_id) == (trouble, channel_id)
    assert taken.hear() == FUNDING


@pytest.mark.bolt("B1-7")
@pytest.mark.parametrize("number", [1, 17, 18, 19])
def test_malformed(around: Around, taken: TakenPeer, number: int) -> None:
    """A warning, and the end."""
    around.say(number.to_bytes(2, "big") + b"\0", FUNDING)
    assert taken.hear() is None
    assert isinstance(decode(around.hear()), WarningMessage)
    assert around.hung_up_on()
    around.told(PeerDisconnected)
    assert around.told_no_more()


def test_unknown_even_message(around: Around, taken: TakenPeer) -> None:
    around.say(b"\xc0\x00", FUNDING)
    assert taken.hear() is None
    assert "49152" in around.told(PeerDisconnected).reason
    assert isinstance(decode(around.hear()), WarningMessage)
    assert around.hung_up_on()


def test_gossip_to_the_peer(around: Around, taken: TakenPeer) -> None:
    around.gossipd.send(GOSSIP)
    around.order(GiveBack(7))
    assert taken.hear() is None
    around.told(PeerGivenBack).close_fds()
    assert around.hear() == GOSSIP


def test_gossipd_has_closed_its_end(around: Around, taken: TakenPeer) -> None:
    """The connection lives on without gossip, and can be given back."""
    around.gossipd.close()
    around.say(GOSSIP, FUNDING)
    assert taken.hear() == FUNDING
    taken.give_back()
    returned = around.told(PeerGivenBack)
    assert returned.gossip_fd is None
    returned.close_fds()


def test_orders(around: Around, taken: TakenPeer) -> None:
    around.order(SendMessage(NODE, 7, b"\x80\x01hello", request_id=5))
    around.order(Ping(NODE, 7, 9, 2, request_id=6))
    around.order(Ping(NODE, 7, 65532, 0, request_id=7))
    around.order(SetMessageRoutes([(36, "take")]))
    around.order(Ping(NODE, 7, 4, 0, request_id=8))
    around.order(Disconnect(NODE, 7, [b"\x80\x01bye"], "no more"))
    around.say(PeerPong(ignored=bytes(9)).encode())
    assert taken.hear() is None
    assert around.hear() == b"\x80\x01hello"
    assert decode(around.hear()) == PeerPing(num_pong_bytes=9, ignored=bytes(2))
    answers = []
    while not isinstance(message := receive_message(around.control, "program"), PeerDisconnected):
        answers.append(message)
    assert message.reason == "no more"
    assert SendMessageReply(request_id=5) in answers
    assert Pong(0, request_id=7) in answers
    left = [answer for answer in answers if isinstance(answer, PingReplyfail)]
    assert {answer.request_id for answer in left} | {6} == {6, 8}
    assert around.told_no_more()


def test_the_service_fails(around: Around, taken: TakenPeer) -> None:
    """The exception goes on, and the connection ends: it is not known what state it was in."""
    with pytest.raises(ZeroDivisionError), taken:
        raise ZeroDivisionError("a bug")
    assert "a bug" in around.told(PeerDisconnected).reason
    assert around.hung_up_on()


@pytest.mark.parametrize("reset", [False, True])
def test_the_peer_has_gone(around: Around, taken: TakenPeer, reset: bool) -> None:
    """Whatever the service was about to say, it ends quietly, and the end is told once."""
    if reset:
        taken._owner._peer.send(b"never read")
    around.peer.close()
    with taken:
        for _ in range(3):
            taken.say(b"\x80\x01" + bytes(1000))
        assert taken.hear() is None
        taken.say(b"\x80\x01")
    around.told(PeerDisconnected)
    assert around.told_no_more()


def test_the_peer_has_gone_before_it_begins() -> None:
    around = Around(unsent=b"some ciphertext")
    around.peer.close()
    taken = taken_peer(around.program_end)
    assert taken.hear() is None
    around.told(PeerDisconnected)
    closed_with(taken)
    around.close()


def test_the_peer_goes_in_the_midst_of_its_words(around: Around, taken: TakenPeer) -> None:
    """A ping that cannot be answered, with gossip and more behind it."""
    around.say(PeerPing(num_pong_bytes=3, ignored=b"").encode(), GOSSIP, FUNDING)
    around.peer.close()
    assert taken.hear() in (None, FUNDING)
    assert taken.hear() is None
    around.told(PeerDisconnected)
    assert around.told_no_more()


def test_rubbish_from_the_peer(around: Around, taken: TakenPeer) -> None:
    around.peer.sendall(bytes(100))
    assert taken.hear() is None
    assert "MAC" in around.told(PeerDisconnected).reason


def test_the_master_has_gone(around: Around, taken: TakenPeer) -> None:
    """Then the node has: the connection ends, and there is no one to tell."""
    around.order(Ping(NODE, 7, 9, 2, request_id=6))
    around.control.shutdown(socket.SHUT_RDWR)
    with taken:
        assert taken.hear() is None
    while around.peer.recv(65536):
        pass


def test_what_is_no_start() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    send_message(ours, GiveBack(None))
    fd = theirs.detach()
    with pytest.raises(RuntimeError, match="no take_peer"):
        taken_peer(fd)
    ours.close()


def test_a_peer_that_does_not_answer_pings_is_gone() -> None:
    around = Around(timing=Timing(ping_idle=0.0, ping_timer=(0.0, 0.0), pong_timeout=0.05))
    taken = taken_peer(around.program_end)
    assert taken.hear() is None
    assert around.hear() == PeerPing(PONG_BYTES, b"").encode()
    assert around.told(PeerDisconnected).reason == "it does not answer pings"
    assert around.hung_up_on()
    around.close()
    closed_with(taken)


def test_one_that_answers_stays_and_its_latency_is_known() -> None:
    around = Around(timing=Timing(ping_idle=0.0, ping_timer=(0.0, 0.0), pong_timeout=60.0))
    taken = taken_peer(around.program_end)
    around.say(PeerPong(bytes(PONG_BYTES)).encode(), FUNDING)
    taken._owner._look()
    assert taken.hear() == FUNDING
    around.order(ListPeers(request_id=5))
    around.order(GiveBack(None))
    assert taken.hear() is None
    reply = around.told(ListPeersReply)
    (stats,) = reply.peers
    assert (reply.request_id, stats.conn_id) == (5, INFO.conn_id)
    assert stats.latency is not None
    assert (stats.traffic.messages_in, stats.traffic.messages_out) == (2, 1)
    returned = around.told(PeerGivenBack)
    assert returned.state.traffic == stats.traffic
    returned.close_fds()
    around.close()
    closed_with(taken)


def test_what_hsmd_answers() -> None:
    """Its answers wait in the socket already: a signature, a refusal, its end."""
    hsmd, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    around = Around(hsm_fd=Fd(theirs.detach()))
    taken = taken_peer(around.program_end)
    send_message(hsmd, SignChannelAnnouncementReply(bytes(64)))
    send_message(hsmd, SignChannelAnnouncementReplyfail("not ours"))
    assert taken.sign_channel_announcement(GOSSIP) == bytes(64)
    with pytest.raises(ValueError, match="not ours"):
        taken.sign_channel_announcement(b"")
    for message in (GOSSIP, b""):
        assert receive_message(hsmd, "service") == SignChannelAnnouncement(message)
    hsmd.close()
    with taken:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="the node has ended"):
                taken.sign_channel_announcement(GOSSIP)
    around.close()


def test_hsmd_is_not_there_for_everybody(taken: TakenPeer) -> None:
    with pytest.raises(RuntimeError, match="the node does not sign for s: start it with --may-sign=s"):
        taken.sign_channel_announcement(GOSSIP)


def test_heartbeat(around: Around, taken: TakenPeer) -> None:
    """An answer comes while the service waits for the peer."""
    send_message(around.control, Heartbeat())
    send_message(around.control, Disconnect(NODE, 7, [], "enough"))
    assert taken.hear() is None
    around.told(HeartbeatReply)
    around.told(PeerDisconnected)


def test_copies_for_a_listener() -> None:
    """Each is taken as soon as it is read; what was lost is known before the next one."""
    master, program = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with master:
        copy = PeerMessage(NODE, 7, b"\x9c\x40copy", 40_000, None)
        for message in (Listen("s"), copy, CopiesLost(3), Heartbeat(), copy):
            send_message(master, message)
        heard = copies(program.detach())
        assert (next(heard), heard.lost) == (copy, 0)
        assert (next(heard), heard.lost) == (copy, 3)
        answers = [receive_message(master, "program") for _ in range(3)]
        assert [type(answer) for answer in answers] == [CopyTaken, HeartbeatReply, CopyTaken]
        master.shutdown(socket.SHUT_RDWR)
        assert list(heard) == []


@pytest.mark.bolt("B1-153")
def test_copies_of_peer_storage_go_up_seldom(around: Around, taken: TakenPeer) -> None:
    """The first at once, the newest before the connection goes back."""
    around.order(SetMessageRoutes([(7, "copy"), (34, "take")]))
    blobs = [PeerStorage(bytes([number])).encode() for number in range(5)]
    around.say(*blobs, FUNDING)
    assert taken.hear() == FUNDING
    taken.give_back()
    assert [around.told(PeerMessage).message for _ in range(2)] == [blobs[0], blobs[4]]
    around.told(PeerGivenBack).close_fds()
