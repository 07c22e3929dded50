"""A ZMQ socket on the running asyncio loop, as the buses use it: nothing blocks, nothing is lost silently.

ZMQ tells by one edge-triggered fd that something has changed: after every change everything is taken that is there.
A ROUTER is mandatory here: what cannot be delivered raises, and the sender decides what that means.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import field
from typing import cast

import zmq
from zmq.utils.monitor import recv_monitor_message

from wire.bus.bus_message import MAX_BODY
from wire.bus.large_messages import LARGE, LargeMessages
from wire.bus.listener import Listener, open_listener
from wire.control.binding import BindFailed
from wire.start.late_dataclass import dataclass

SLICE = 64
"""Messages that are dealt with before others on the loop have their turn."""
MAX_WAITING = 1_000
"""Messages that ZMQ keeps in each direction for each of the other ends."""
MAX_FRAME = MAX_BODY + 1_024
"""Bytes of a frame; who sends a longer one is disconnected by ZMQ."""
MOST_UNREAD = 32 << 20
"""Bytes that ZMQ keeps for us of what each of the other ends has said: its share, whatever others say."""
LINGER = 1_000
"""Milliseconds that last words have to leave."""
HANDSHAKE = 5_000
"""Milliseconds in which a client that connects must have said who it is."""
KEEPALIVE, KEEPALIVE_ANSWER = 5_000, 15_000
"""Milliseconds after which ZMQ itself asks whether a silent end is still there, and in which it has to answer."""
EVENTS = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
ZAP_DOMAIN = b"lightningd-py"

NOW, NOW_AND_MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
"""Flags of one frame, as numbers: `send_multipart` computes with members of an enum, and takes 2 µs longer."""


class Unreachable(Exception):
    """The other end is gone."""


class NoRoom(Exception):
    """The other end does not read: back-pressure."""


@dataclass(frozen=True, slots=True)
class CurveKeys:
    """The server's keys in Z85, 40 characters each. Clients are authorised by what answers ZAP in this process."""

    public: bytes
    secret: bytes = field(repr=False)


class BusSocket:
    """A ROUTER, if no other kind is wanted. `on_message` gets the frames of each message, the route first."""

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        on_message: Callable[[list[bytes]], None] = lambda frames: None,
        *,
        kind: int = zmq.ROUTER,
        curve: CurveKeys | None = None,
        room: int = MAX_WAITING,
        longest: int = MAX_FRAME,
    ) -> None:
        """`curve`: needed for tcp endpoints. `room`: messages that ZMQ keeps, each way, for each other end; of those
        that come no more than MOST_UNREAD in bytes. `longest`: bytes of a frame that comes.
        """
        self.on_disconnect: Callable[[], None] = lambda: None
        """Called when the connection of some other end has ended; sending tells whose."""
        self.on_refused: Callable[[], None] = lambda: None
        """Called when a client did not get through ZMQ's handshake: without CURVE where there has to be some."""
        self.on_message = on_message
        self._curve = curve
        self._loop = asyncio.get_running_loop()
        self._socket = context.socket(kind)
        self._socket.linger = LINGER
        self._socket.sndhwm = room
        self._socket.rcvhwm = min(room, MOST_UNREAD // longest)
        self._socket.maxmsgsize = longest
        self._socket.set(zmq.HEARTBEAT_IVL, KEEPALIVE)
        self._socket.set(zmq.HEARTBEAT_TIMEOUT, KEEPALIVE_ANSWER)
        self._socket.handshake_ivl = HANDSHAKE
        if kind == zmq.ROUTER:
            self._socket.router_mandatory = True
        self._kept_large = LargeMessages()
        self._monitor = self._socket.get_monitor_socket(EVENTS)
        self._fds = [int(self._socket.get(zmq.FD)), int(self._monitor.get(zmq.FD))]
        self.listener: Listener | None = None
        """Where it accepts, if that is not within this process."""
        self._looks_again = False
        self._paused = False
        self._loop.add_reader(self._fds[0], self._look)
        self._loop.add_reader(self._fds[1], self._look_at_monitor)
        self._look_at_monitor()  # a fd that is edge-triggered has to be asked once before it tells of anything

    def bind(self, endpoint: str) -> str:
        """Listen at `ipc://PATH`, `inproc://NAME` or `tcp://HOST:PORT`; returns it as others reach it.

        Raises BindFailed.
        """
        scheme = endpoint.partition("://")[0]
        if scheme not in ("ipc", "inproc", "tcp"):
            raise BindFailed(f"{endpoint} is no endpoint: ipc://PATH or tcp://HOST:PORT")
        if scheme == "inproc":
            self._socket.bind(endpoint)
            return endpoint
        if scheme == "tcp":
            self._check_tcp(endpoint)
        return self.listen(open_listener(endpoint))

    def listen(self, listener: Listener) -> str:
        """Accept there, as `bind` does. The listener is ours in any case."""
        self.listener = listener
        if listener.endpoint.startswith("tcp:"):
            self._secure()
        accepts = listener.sock.dup()
        accepts.setblocking(False)
        self._socket.set(zmq.USE_FD, accepts.fileno())
        try:
            self._socket.bind(listener.endpoint)
        except zmq.ZMQError as error:
            accepts.close()
            raise BindFailed(f"cannot bind {listener.endpoint}: {error.strerror}") from error
        accepts.detach()  # it is ZMQ's now
        return cast(bytes, self._socket.get(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()

    def _check_tcp(self, endpoint: str) -> None:
        if self._curve is None:
            raise BindFailed(f"cannot bind {endpoint}: tcp needs CURVE keys")
        if ":*" in endpoint or "*:" in endpoint:
            raise BindFailed(f"cannot bind {endpoint}: it has to name its address and its port")

    def _secure(self) -> None:
        assert self._curve is not None
        self._socket.curve_server = True
        self._socket.curve_publickey = self._curve.public
        self._socket.curve_secretkey = self._curve.secret
        self._socket.zap_domain = ZAP_DOMAIN

    def send(self, frames: list[bytes]) -> None:
        """Send, the route first. Raises Unreachable or NoRoom, and then nothing was sent."""
        try:
            if len(frames[-1]) >= LARGE:
                self._send_large(*frames)
                return
            send, last = self._socket.send, len(frames) - 1
            for place, frame in enumerate(frames):
                send(frame, NOW if place == last else NOW_AND_MORE)
        except zmq.Again as error:
            raise NoRoom from error
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            raise Unreachable from error
        finally:
            self._look_soon()  # the change that the fd would have told of may have been seen by this call

    def _send_large(self, route: bytes, *frames: bytes) -> None:
        """Raises NoRoom, and what `send_multipart` does."""
        size = len(frames[-1])
        if not self._kept_large.has_room(route, size):
            raise NoRoom
        tracked: list[bytes | zmq.Frame] = [route, *frames[:-1], zmq.Frame(frames[-1], track=True, copy=False)]
        tracker = self._socket.send_multipart(tracked, zmq.NOBLOCK, copy=False, track=True)
        assert tracker is not None
        self._kept_large.sent(route, tracker, size)

    def pause(self) -> None:
        """Read no more for now: others get back-pressure when ZMQ's room is full."""
        self._paused = True

    def resume(self) -> None:
        """Read again."""
        self._paused = False
        self._look_soon()

    def _look_soon(self) -> None:
        if not self._looks_again:
            self._looks_again = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._looks_again = False
        for _ in range(SLICE):
            if self._paused or self._socket.closed:
                return
            try:
                frames = self._receive()
            except zmq.Again:
                return
            self.on_message(frames)
        self._look_soon()

    def _receive(self) -> list[bytes]:
        """The next message. Raises zmq.Again if there is none."""
        frame = self._socket.recv(NOW, copy=False)
        frames = [frame.bytes]
        while frame.more:
            frame = self._socket.recv(NOW, copy=False)
            frames.append(frame.bytes)
        return frames

    def _look_at_monitor(self) -> None:
        with contextlib.suppress(zmq.Again):
            while not self._socket.closed:
                event = recv_monitor_message(self._monitor, zmq.NOBLOCK)["event"]
                if event == zmq.EVENT_DISCONNECTED:
                    self.on_disconnect()
                else:
                    self.on_refused()

    def close(self) -> None:
        """What was sent has LINGER to leave, when the context is terminated. The file of an endpoint is removed."""
        listener, self.listener = self.listener, None
        self.leave()
        if listener is not None:
            listener.end()

    def leave(self) -> None:
        """The same, but the file of the endpoint stays: another process listens there."""
        if self._socket.closed:
            return
        for fd in self._fds:
            self._loop.remove_reader(fd)
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close()
        if self.listener is not None:
            self.listener.close()
