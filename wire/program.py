"""A service's side of a connection: for programs that lightningd-py starts with a live peer on fd 3.

    from wire.program import taken_peer

    with taken_peer() as peer:              # reads take_peer from fd 3
        print(peer.info.node_id.hex(), "says", peer.message)
        peer.say(b"...")
        while (message := peer.hear()) is not None:
            ...                             # what is for a service; pings and gossip are dealt with meanwhile
                                            # leaving the block gives the peer back to gossipd

Blocking and simple on purpose: one connection, one process. An owner has duties, and `hear` does them: it answers
pings and pings itself, carries gossip between the peer and the gossip fd, and does what the master asks.
docs/programs.md.
"""

import contextlib
import functools
import random
import selectors
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from wire import peer_wire
from wire.control import control_wire
from wire.control.control_message import ControlMessage, Fd, Reply, Request
from wire.control.control_socket import receive_message, send_message
from wire.control.control_wire import PeerStats, TakePeer
from wire.cursor import WireError
from wire.frames import READ_SIZE, FrameError, Frames
from wire.net.gossip_fd import GOSSIP_START
from wire.net.pinger import NO_PONG, PONG_BYTES, Pinger, Pings, PongHandler, Verdict, patience_for
from wire.peer_wire import channel_id_of, decode
from wire.routing import Action, Routes

CONTROL_FD = 3
_PACKET = 65_536


class TakenPeer:
    """The connection, owned by this process. `message` is what the peer said, nil if we may speak first."""

    def __init__(self, control: socket.socket, taken: TakePeer, routes: Routes) -> None:
        self.info = taken.peer
        self.service = taken.service
        self.message = taken.message
        self._control = control
        self._routes = routes
        self._frames = Frames(taken.state.crypto, taken.state.unread, taken.state.traffic)
        self._peer = socket.socket(fileno=taken.peer_fd)
        self._peer.setblocking(True)
        self._gossip = None if taken.gossip_fd is None else socket.socket(fileno=taken.gossip_fd)
        self._hsmd = None if taken.hsm_fd is None else socket.socket(fileno=taken.hsm_fd)
        self._pings = Pings()
        self._pinger = Pinger(time.monotonic(), taken.timing, patience_for(taken.peer.address))
        self._next_look = 0.0
        self._look_later()
        self._here = True
        self._selector = selectors.DefaultSelector()
        for sock in (self._peer, control):
            self._selector.register(sock, selectors.EVENT_READ)
        if self._gossip is not None:
            self._gossip.setblocking(True)
            self._selector.register(self._gossip, selectors.EVENT_READ)
        self._to_gossipd(GOSSIP_START)
        self._send(taken.state.unsent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the peer back, unless it is gone; after an exception close the connection."""
        if error is None:
            self.give_back()
        else:
            self._ended(f"the service has failed: {error!r}")
        self._control.close()
        if self._hsmd is not None:
            self._hsmd.close()

    def say(self, message: bytes) -> None:
        """Send a message (its type first). Blocks while the peer does not read. Does nothing if it has gone.

        Raises ValueError for more than 65,535 bytes.
        """
        if self._here:
            self._send(self._frames.encrypt(message))

    def hear(self) -> bytes | None:
        """The next message that is for a service; None when the connection is no longer ours."""
        data = b""
        while self._here:
            try:
                for message in self._frames.feed(data):
                    if self._is_for_service(message):
                        return message
                    if not self._here:
                        return None
            except (FrameError, WireError) as error:  # the peer's doing, in both cases
                self._ended(str(error))
                return None
            data = self._wait()
        return None

    def give_back(self) -> None:
        """The connection goes back to gossipd, with everything that has not been read from it, unless it is gone."""
        if not self._here:
            return
        self._leave()
        self._tell(
            control_wire.PeerGivenBack(
                self.info.node_id,
                self.info.conn_id,
                self._frames.export(b""),
                [],
                None,
                Fd(self._peer.detach()),
                Fd(self._gossip.detach()) if self._gossip is not None else None,
            )
        )

    def sign_channel_announcement(self, message: bytes) -> bytes:
        """The node's signature under a channel_announcement whose one node it is: 64 bytes, BOLT 7's node_signature.

        What stands in the place of the signatures does not matter. Raises RuntimeError if the service has no right to
        it (`--may-sign`) or the node has ended, ValueError if hsmd does not sign this message.
        """
        if self._hsmd is None:
            raise RuntimeError(f"the node does not sign for {self.service}: start it with --may-sign={self.service}")
        reply = None
        with contextlib.suppress(OSError):
            send_message(self._hsmd, control_wire.SignChannelAnnouncement(message))
            reply = receive_message(self._hsmd, "hsmd")
        match reply:
            case control_wire.SignChannelAnnouncementReply(signature=signature):
                return signature
            case control_wire.SignChannelAnnouncementReplyfail(error=error):
                raise ValueError(error)
        raise RuntimeError("the node has ended")

    # an owner's duties

    def _is_for_service(self, message: bytes) -> bool:
        number = int.from_bytes(message[:2], "big")
        action = self._routes.action(number)
        if action is Action.GOSSIP:
            self._to_gossipd(message)
        elif action is Action.ANSWER:
            self._answer(message)
        elif action is Action.COPY:
            self._copy_up(message)
        elif action is Action.CLOSE:
            self._ended(f"unknown even message type {number}")
        return action is Action.TAKE

    def _to_gossipd(self, message: bytes) -> None:
        if self._gossip is not None:
            try:
                self._gossip.send(message)
            except OSError:
                self._forget_gossip()

    def _answer(self, message: bytes) -> None:
        match decode(message):
            case peer_wire.Ping(num_pong_bytes=wanted) if wanted < NO_PONG:
                self.say(peer_wire.Pong(bytes(wanted)).encode())
            case peer_wire.Pong(ignored=ignored):
                self._pings.heard(len(message), len(ignored))
            case peer_wire.ErrorMessage() | peer_wire.WarningMessage():
                self._copy_up(message)

    def _copy_up(self, message: bytes) -> None:
        number = int.from_bytes(message[:2], "big")
        info = self.info
        self._tell(control_wire.PeerMessage(info.node_id, info.conn_id, message, number, channel_id_of(message)))

    def _wait(self) -> bytes:
        """Wait for something on any of the three sockets; what the peer has sent is returned."""
        if time.monotonic() >= self._next_look:
            self._look()
        for key, _ in self._selector.select(max(0.0, self._next_look - time.monotonic())) if self._here else []:
            if not self._here:
                break
            if key.fileobj is self._control:
                self._obey(receive_message(self._control, "master"))
            elif key.fileobj is self._gossip:
                self._from_gossipd()
            else:
                return self._read()
        return b""

    def _look(self) -> None:
        """Is the peer still there?"""
        verdict = self._pinger.look(time.monotonic())
        if verdict is Verdict.GONE:
            self._ended("it does not answer pings")
            return
        if verdict is Verdict.PING:
            self._ping(PONG_BYTES, 0, lambda total: None if total is None else self._pinger.ponged(time.monotonic()))
        self._look_later()

    def _look_later(self) -> None:
        self._next_look = time.monotonic() + self._pinger.pause(random.random())  # noqa: S311 - no secret

    def _ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> None:
        self.say(peer_wire.Ping(num_pong_bytes, bytes(ignored_len)).encode())
        self._pings.said(num_pong_bytes, answered)

    def _read(self) -> bytes:
        try:
            data = self._peer.recv(READ_SIZE)
        except OSError as error:
            self._ended(error.strerror or str(error))
            return b""
        self._pinger.heard_at = time.monotonic()
        if not data:
            self._ended("the peer has closed the connection")
        return data

    def _from_gossipd(self) -> None:
        assert self._gossip is not None
        try:
            packet = self._gossip.recv(_PACKET)
        except OSError:
            packet = b""
        if packet:
            self.say(packet)
        else:
            self._forget_gossip()

    def _forget_gossip(self) -> None:
        """gossipd is gone: the connection lives on without gossip."""
        if self._gossip is not None:
            self._selector.unregister(self._gossip)
            self._gossip.close()
            self._gossip = None

    def _obey(self, message: ControlMessage | None) -> None:
        match message:
            case None:
                self._ended("the node has ended")
            case control_wire.SetMessageRoutes(routes=routes):
                self._routes.replace(routes)
            case control_wire.SendMessage(message=raw):
                self.say(raw)
                self._reply(message, control_wire.SendMessageReply())
            case control_wire.Ping(num_pong_bytes=wanted, ignored_len=ignored):
                self._ping(wanted, ignored, functools.partial(self._ponged, message))
            case control_wire.ListPeers():
                stats = PeerStats(self.info.conn_id, self._frames.traffic, self._pinger.latency, 0)
                self._reply(message, control_wire.ListPeersReply([stats]))
            case control_wire.GiveBack():
                self.give_back()
            case control_wire.Disconnect(send=last_words, reason=reason):
                for raw in last_words:
                    self.say(raw)
                self._ended(reason)

    def _ponged(self, request: control_wire.Ping, total: int | None) -> None:
        failed = control_wire.PingReplyfail("the connection left before the pong came")
        self._reply(request, failed if total is None else control_wire.Pong(total))

    def _reply(self, request: Request, reply: Reply) -> None:
        reply.request_id = request.request_id
        self._tell(reply)

    def _tell(self, message: ControlMessage) -> None:
        """Say it to the master. If that has gone, so has the node, and there is nobody who would want to know."""
        try:
            send_message(self._control, message)
        except OSError:
            message.close_fds()

    def _send(self, data: bytes) -> None:
        try:
            self._peer.sendall(data)
        except OSError as error:
            self._ended(error.strerror or str(error))

    def _leave(self) -> None:
        self._here = False
        self._selector.close()
        self._pings.fail()

    def _ended(self, reason: str) -> None:
        """The connection is over: close it, and say so, once."""
        if not self._here:
            return
        self._leave()
        self._peer.close()
        if self._gossip is not None:
            self._gossip.close()
        self._tell(control_wire.PeerDisconnected(self.info.node_id, self.info.conn_id, reason))


def taken_peer(fd: int = CONTROL_FD) -> TakenPeer:
    """The peer for which this program was started. Raises RuntimeError if lightningd-py did not start it."""
    control = socket.socket(fileno=fd)
    control.set_inheritable(False)
    routes = Routes()
    while True:
        match receive_message(control, "master"):
            case control_wire.SetMessageRoutes(routes=changes):
                routes.replace(changes)
            case TakePeer() as taken:
                return TakenPeer(control, taken, routes)
            case other:
                control.close()
                raise RuntimeError(f"no take_peer on fd {fd} but {other}")


def copies(fd: int = CONTROL_FD) -> Iterator[control_wire.PeerMessage]:
    """The copies for which this program was started (`--copy NAME=...`), until the node ends.

    Raises RuntimeError if lightningd-py did not start it for that.
    """
    with socket.socket(fileno=fd) as control:
        control.set_inheritable(False)
        first = receive_message(control, "master")
        if not isinstance(first, control_wire.Listen):
            raise RuntimeError(f"no listen on fd {fd} but {first}")
        while isinstance(message := receive_message(control, "master"), control_wire.PeerMessage):
            yield message
