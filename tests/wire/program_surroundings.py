"""The master, the peer and gossipd of a program with a connection, played by the test."""

import contextlib
import socket
from typing import TypeVar

from wire.control.control_message import ControlMessage, Fd
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import (
    PeerInfo,
    SetMessageRoutes,
    TakePeer,
)
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.crypto_state import CryptoState, PeerState
from wire.frames import Frames
from wire.peer_wire import GossipTimestampFilter
from wire.peer_wire import Ping as PeerPing
from wire.program import TakenPeer

M = TypeVar("M", bound=ControlMessage)
NODE = bytes([2]) * 33
OURS = CryptoState(0, 0, bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32, bytes([4]) * 32)
THEIRS = CryptoState(0, 0, OURS.sk, OURS.rk, OURS.s_ck, OURS.r_ck)
FILTER = GossipTimestampFilter(bytes(32), 7, 1).encode()
PING = PeerPing(num_pong_bytes=0, ignored=b"").encode()
OPEN_CHANNEL, FUNDING = b"\x00\x20" + bytes(100), b"\x00\x22" + bytes(100)
GOSSIP = b"\x01\x00" + bytes(50)
INFO = PeerInfo(NODE, 7, "1.2.3.4:5", True, None, b"", [])


class Around:
    """Everybody that the program has to do with; `unread` and `unsent` came with the connection."""

    def __init__(
        self,
        unread: bytes = b"",
        unsent: bytes = b"",
        timing: Timing | None = None,
        hsm_fd: Fd | None = None,
        limits: Limits | None = None,
        left_over: list[bytes] | None = None,
    ) -> None:
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.gossipd, gossip = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.peer, peer = socket.socketpair()
        self.frames = Frames(THEIRS)
        for sock in (self.control, self.gossipd, self.peer):
            sock.settimeout(60)
        send_message(self.control, SetMessageRoutes([(34, "take"), (40000, "copy")]))
        state = PeerState(OURS, unread, unsent, gossip=left_over or [])
        fds = Fd(peer.detach()), Fd(gossip.detach())
        take = TakePeer("s", INFO, OPEN_CHANNEL, state, *fds, timing or Timing(), hsm_fd, limits or Limits())
        send_message(self.control, take)
        self.program_end: int = control.detach()

    # The peer

    def say(self, *messages: bytes) -> None:
        self.peer.sendall(b"".join(self.frames.encrypt(message) for message in messages))

    def hear(self) -> bytes:
        data = b""
        while True:
            for message in self.frames.feed(data):
                return message
            data = self.peer.recv(65536)
            assert data, "the program has hung up"

    def hung_up_on(self) -> bool:
        with contextlib.suppress(ConnectionError):
            return self.peer.recv(65536) == b""
        return True

    # The master

    def order(self, message: ControlMessage) -> None:
        send_message(self.control, message)

    def told(self, kind: type[M]) -> M:
        message = receive_message(self.control, "program")
        assert isinstance(message, kind), message
        return message

    def told_no_more(self) -> bool:
        self.control.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            return self.control.recv(65536) == b""
        return True

    def close(self) -> None:
        for sock in (self.control, self.gossipd, self.peer):
            sock.close()


def closed_with(taken: TakenPeer) -> None:
    """What the end of its process does."""
    taken._control.close()
    if taken._owner._gossip is not None:
        taken._owner._gossip.close()
    taken._owner._peer.close()
