"""websocketd: unwraps WebSockets. Started by the master, told by connectd.

A peer connection moves between processes as an fd and its crypto state, and a WebSocket's frames have no place in
that. So connectd, which accepts and counts strangers, hands the TCP connection to this process together with one end of
a stream socketpair; the other end is the peer's fd, with any owner. The process holds no secret: what passes through
is ciphertext. It ends when the master's socket does: connectd's restarts do not touch it, for the master keeps a copy
of connectd's end. If it dies its WebSockets have ended, and another one is started.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from socket import socket

from connectd.websocketd.websocket import WebSocket
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import UnwrapWebsocket
from wire.control.daemon import EXIT_OK
from wire.control.privilege import raise_fd_limit
from wire.control.status import Status
from wire.net.sockman.sockman import SockMan

MAX_UNSENT = 131_072
"""Bytes that wait for one end of a bridge; the other end is not read while there are more."""
STUCK = 30.0
"""Seconds in which a client has to read MAX_UNSENT. Until then it is not looked at whether its stream has ended."""
SPARE_FDS = 64
"""File descriptors that are wanted for other things than bridges: connections that are on their way here."""
LINGER = 5.0
"""Seconds for the last words of either end."""

status = Status("websocketd")


@dataclass(slots=True, eq=False)
class _Bridge:
    """One WebSocket: its TCP connection and its stream, by their ids."""

    address: str
    tcp: int
    stream: int
    websocket: WebSocket = field(default_factory=WebSocket)
    slow: asyncio.TimerHandle | None = None
    """Runs while the client does not read."""


class Bridges(SockMan):
    """All WebSockets of the node. No deadline of its own: connectd's is over the upgrade, too, and ends the stream.

    `room`: how many fds they may have. One bridge more is closed at once, before there is none left to receive it.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._full = False
        self._bridges: dict[int, _Bridge] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._bridges) // 2

    def unwrap(self, message: UnwrapWebsocket) -> None:
        """Begin to carry bytes between the two."""
        if len(self._bridges) + len(self._farewells) + 2 > self._room:
            self._refuse(message)
            return
        try:
            tcp = self.adopt(message.tcp_fd, b"")
        except OSError:  # it has gone already
            message.close_fds()
            return
        bridge = _Bridge(message.address, tcp, self.adopt(message.stream_fd, b""))
        self._bridges |= {bridge.tcp: bridge, bridge.stream: bridge}
        self.update_receiving(bridge.stream)

    def _refuse(self, message: UnwrapWebsocket) -> None:
        message.close_fds()
        if not self._full:
            status.unusual(f"{len(self)} WebSockets are all that may be open here: new ones are closed")
        self._full = True

    # SockMan's events

    def event_got_data(self, id: int, data: bytes) -> None:
        """To the other side."""
        bridge = self._bridges[id]
        if id == bridge.stream:
            bridge.websocket.wrap(data)
        elif payload := bridge.websocket.receive(data):
            self.send_bytes(bridge.stream, payload)
        self._go_on(bridge)

    def event_got_eof(self, id: int) -> None:
        """One end has hung up, and so does the other."""
        bridge = self._bridges[id]
        if id == bridge.stream:
            bridge.websocket.close()
            self.send_bytes(bridge.tcp, bridge.websocket.to_send())
        self._end(bridge)

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        """One end is broken: the other gets what is left."""
        self._end(self._bridges[id])

    def event_ready_to_send(self, id: int) -> bool:
        """All was taken: the other side may go on."""
        self._regulate(self._bridges[id])
        return False

    def should_try_to_recv(self, id: int) -> bool:
        """Nothing is read that has no place to go. The client's own words need room for an answer, too: pongs."""
        bridge = self._bridges.get(id)
        if bridge is None:
            return True
        room = self.unsent_size(bridge.tcp) < MAX_UNSENT
        return room and (id == bridge.stream or self.unsent_size(bridge.stream) < MAX_UNSENT)

    # Inside

    def _go_on(self, bridge: _Bridge) -> None:
        if answer := bridge.websocket.to_send():
            self.send_bytes(bridge.tcp, answer)
        if bridge.websocket.ended:
            self._end(bridge)
        else:
            self._regulate(bridge)

    def _regulate(self, bridge: _Bridge) -> None:
        for id in (bridge.tcp, bridge.stream):
            if self.unsent_size(id):
                self.want_to_send(id)
            self.update_receiving(id)

        if self.unsent_size(bridge.tcp) < MAX_UNSENT:
            self._no_longer_slow(bridge)
        elif bridge.slow is None:
            bridge.slow = self._loop.call_later(STUCK, self._too_slow, bridge)

    def _too_slow(self, bridge: _Bridge) -> None:
        status.debug(f"{bridge.address}: WebSocket: does not read")
        self._end(bridge)

    def _no_longer_slow(self, bridge: _Bridge) -> None:
        if bridge.slow is not None:
            bridge.slow.cancel()
            bridge.slow = None

    def _end(self, bridge: _Bridge) -> None:
        self._no_longer_slow(bridge)
        if bridge.websocket.complaint:
            status.debug(f"{bridge.address}: WebSocket: {bridge.websocket.complaint}")
        for id in (bridge.tcp, bridge.stream):
            del self._bridges[id]
            self.close_when_sent(id, LINGER)


class Websocketd:
    """The process, on its running loop."""

    def __init__(self, master: socket, connectd: socket, stop: Callable[[int], None]) -> None:
        self._bridges = Bridges(raise_fd_limit() - SPARE_FDS)
        self._master = ControlChannel(master, "master", self._unexpected, lambda _: stop(EXIT_OK))
        self._connectd = ControlChannel(connectd, "connectd", self._received, lambda reason: status.debug(reason))
        status.debug("ready")

    def _unexpected(self, message: ControlMessage) -> None:
        """The master has only heartbeats for us, which its channel answers."""
        raise RuntimeError(f"the master said {message.name()}")

    def _received(self, message: ControlMessage) -> None:
        if not isinstance(message, UnwrapWebsocket):
            raise RuntimeError(f"connectd said {message.name()}")
        self._bridges.unwrap(message)

    def close(self) -> None:
        """Close whatever is still open."""
        self._master.close()
        self._connectd.close()
        self._bridges.close_sockets()
