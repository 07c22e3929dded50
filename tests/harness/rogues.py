"""Programs that go wrong: what a puppet that has a connection does with its control socket and its fds, by name.

Each function of KINDS gets the puppet (puppet.py). What the codec of control messages would refuse to send is sent past
it.
"""

import array
import fcntl
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

import msgpack

from wire.control import control_wire
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import GossipState, PeerDisconnected, PeerGivenBack, PeerMessage
from wire.crypto_state import CryptoState, Traffic

HUGE = 60_000_000
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
ENVELOPE = b"\x91\x00"
OTHER_NODE = bytes([3]) * 33
KINDS: dict[str, Callable[[Any], None]] = {}


def rogue(kind: Callable[[Any], None]) -> Callable[[Any], None]:
    """One of KINDS."""
    KINDS[kind.__name__] = kind
    return kind


def send(puppet: Any, data: bytes, fds: Sequence[int] = ()) -> None:
    """A datagram with these fds, which stay ours."""
    puppet.control.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


def send_memfd(puppet: Any, data: bytes, fds: Sequence[int] = (), seals: int = SEALS) -> None:
    """A message of any size."""
    memfd = os.memfd_create("rogue", os.MFD_ALLOW_SEALING)
    written = 0
    while written < len(data):
        written += os.write(memfd, memoryview(data)[written:])
    fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, seals)
    send(puppet, ENVELOPE, [memfd, *fds])
    os.close(memfd)


def say(puppet: Any, message: ControlMessage) -> None:
    """A message of any kind and size."""
    data, fds = message.encode()
    (send if len(data) < 100_000 else send_memfd)(puppet, data, fds)


def give_back(puppet: Any, **changes: Any) -> None:
    """As it should be done, but for these fields; and those of the state."""
    info, state = puppet.taken.peer, puppet.frames.export(b"")
    state_changes = {
        name: changes.pop(name) for name in ("crypto", "unread", "unsent", "traffic", "gossip") if name in changes
    }
    for name, value in state_changes.items():
        setattr(state, name, value)
    fields = {
        "node_id": info.node_id,
        "conn_id": info.conn_id,
        "state": state,
        "send": [],
        "gossip_state": None,
        "peer_fd": Fd(puppet.peer.fileno()),
        "gossip_fd": Fd(puppet.gossip.fileno()),
    }
    say(puppet, PeerGivenBack(**(fields | changes)))


def spoilt(name: str, **changes: Any) -> None:
    """A kind that gives back with these changes."""
    KINDS[name] = lambda puppet: give_back(puppet, **changes)


def keys(**changes: Any) -> CryptoState:
    """No keys at all, but for these."""
    return CryptoState(**({"rn": 0, "sn": 0} | dict.fromkeys(("rk", "sk", "r_ck", "s_ck"), bytes(32)) | changes))


spoilt("unsent_of_60_mb", unsent=bytes(HUGE))
spoilt("unsent_of_2_mb", unsent=bytes(2_000_000))
spoilt("unread_of_60_mb", unread=bytes(HUGE))
spoilt("unread_of_200_kb", unread=bytes(200_000))
spoilt("unread_rubbish", unread=bytes(1_000))
spoilt("send_of_60_mb", send=[bytes(HUGE)])
spoilt("send_of_a_thousand_messages", send=[b"\x80\x01" + bytes(60_000)] * 1_000)
spoilt("send_of_65_536_bytes", send=[b"\x80\x01" + bytes(65_534)])
spoilt("send_without_a_type", send=[b"\x80"])
spoilt("short_keys", crypto=keys(rk=bytes(31)))
spoilt("no_keys", crypto=keys(s_ck=b""))
spoilt("other_keys", crypto=keys())
spoilt("odd_nonce", crypto=keys(rn=3))
spoilt("nonce_past_the_rotation", crypto=keys(sn=1_002))
spoilt("negative_traffic", traffic=Traffic(-1, -1, -1, -1))
spoilt("gossip_left_over_without_a_type", gossip=[b"\x01"])
spoilt("gossip_left_over_of_10_mb", gossip=[b"\x01\x05" + bytes(60_000)] * 160)
spoilt("gossip_left_over_rubbish", gossip=[b"\x00\x00\xff", b"\x01\x07rubbish", b"\x01\x05"])
spoilt("queries", gossip_state=GossipState((0, 0), b"", -1, None, True, [b"\x01\x05rubbish", b"\x01"]))
spoilt("another_node_s", node_id=OTHER_NODE)
spoilt("another_connection", conn_id=1 << 40)


@rogue
def reason_of_60_mb(puppet: Any) -> None:
    say(puppet, PeerDisconnected(puppet.taken.peer.node_id, puppet.taken.peer.conn_id, "x" * HUGE))


@rogue
def reason_of_130_kb(puppet: Any) -> None:
    say(puppet, PeerDisconnected(puppet.taken.peer.node_id, puppet.taken.peer.conn_id, "\n" * 130_000))


@rogue
def stream_as_gossip_fd(puppet: Any) -> None:
    """With more in it than a packet may have."""
    ours, theirs = socket.socketpair()
    ours.send(bytes(150_000))
    give_back(puppet, gossip_fd=Fd(theirs.fileno()))


@rogue
def packets_of_others_as_gossip_fd(puppet: Any) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(b"\x80\x01" + bytes(100_000))
    give_back(puppet, gossip_fd=Fd(theirs.fileno()))


@rogue
def large_packets_in_the_gossip_fd(puppet: Any) -> None:
    for size in (65_533, 65_534, 100_000):
        puppet.gossip.send(b"\x01\x02" + bytes(size))
    puppet.gossip.send(b"\x00\x00\x00\xff\xff")
    give_back(puppet)


@rogue
def fds_the_wrong_way_round(puppet: Any) -> None:
    give_back(puppet, peer_fd=Fd(puppet.gossip.fileno()), gossip_fd=Fd(puppet.peer.fileno()))


@rogue
def file_as_peer_fd(puppet: Any) -> None:
    give_back(puppet, peer_fd=Fd(os.open("/dev/zero", os.O_RDWR)))


@rogue
def control_socket_as_peer_fd(puppet: Any) -> None:
    give_back(puppet, peer_fd=Fd(puppet.control.fileno()))


@rogue
def socket_of_its_own_as_peer_fd(puppet: Any) -> None:
    give_back(puppet, peer_fd=Fd(socket.socketpair()[0].detach()))


@rogue
def gives_back_twice(puppet: Any) -> None:
    give_back(puppet)
    give_back(puppet)


@rogue
def goes_on_after_it_has_given_back(puppet: Any) -> None:
    give_back(puppet)
    puppet.peer.send(bytes(1_000))


@rogue
def closes_its_end_and_stays(puppet: Any) -> None:
    puppet.control.shutdown(socket.SHUT_RDWR)


def copy(puppet: Any, message: bytes, **changes: Any) -> None:
    """A copy of what the peer has said, as it says."""
    info = puppet.taken.peer
    fields = {"node_id": info.node_id, "conn_id": info.conn_id, "message_type": 17, "channel_id": bytes(32)}
    say(puppet, PeerMessage(message=message, **(fields | changes)))


@rogue
def error_of_another_node(puppet: Any) -> None:
    copy(puppet, b"\x00\x11" + bytes(34), node_id=OTHER_NODE)


@rogue
def copy_of_70_kb(puppet: Any) -> None:
    copy(puppet, b"\x00\x11" + bytes(70_000))


@rogue
def copy_of_60_mb(puppet: Any) -> None:
    copy(puppet, b"\x00\x11" + bytes(HUGE))


@rogue
def copy_of_another_type(puppet: Any) -> None:
    copy(puppet, b"\x00\x11" + bytes(34), message_type=1)


@rogue
def copy_about_a_strange_channel(puppet: Any) -> None:
    copy(puppet, b"\x00\x11" + bytes(34), channel_id=bytes(31))


@rogue
def words_of_the_master(puppet: Any) -> None:
    say(puppet, control_wire.Disconnect(puppet.taken.peer.node_id, puppet.taken.peer.conn_id, [], "now"))


@rogue
def words_of_gossipd(puppet: Any) -> None:
    say(puppet, control_wire.PeerTaken(puppet.taken.peer))


@rogue
def reply_that_nobody_has_asked_for(puppet: Any) -> None:
    say(puppet, control_wire.ListPeersReply([], request_id=1 << 50))
    give_back(puppet)


@rogue
def lists_in_lists(puppet: Any) -> None:
    send(puppet, b"\x92" + msgpack.packb(PeerDisconnected.number) + b"\x91" * 1_000 + b"\xc0")


@rogue
def three_mb_of_empty_lists(puppet: Any) -> None:
    send_memfd(puppet, b"\x92" + msgpack.packb(PeerGivenBack.number) + b"\xdd\x00\x2d\xc6\xc0" + b"\x90" * 3_000_000)


@rogue
def envelope_without_a_memfd(puppet: Any) -> None:
    send(puppet, ENVELOPE)


@rogue
def memfd_that_can_change(puppet: Any) -> None:
    send_memfd(puppet, b"\x90" * 200_000, seals=fcntl.F_SEAL_SEAL)


@rogue
def pipe_as_memfd(puppet: Any) -> None:
    send(puppet, ENVELOPE, [os.pipe()[0]])


@rogue
def two_hundred_fds(puppet: Any) -> None:
    data, _ = PeerDisconnected(puppet.taken.peer.node_id, puppet.taken.peer.conn_id, "").encode()
    send(puppet, data, [puppet.gossip.fileno()] * 200)


@rogue
def no_message(puppet: Any) -> None:
    send(puppet, b"\xc1")


@rogue
def empty_datagram_with_an_fd(puppet: Any) -> None:
    send(puppet, b"", [puppet.gossip.fileno()])


def misbehave(puppet: Any, kind: str) -> None:
    """Do it. What the node does not take any more is not our trouble."""
    try:
        KINDS[kind](puppet)
    except OSError:
        return
