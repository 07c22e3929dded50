"""The door for WebSockets: accepts them, and has websocketd unwrap each into a stream that is a connection like any.

One that comes from a trusted proxy waits until websocketd has said where its client is: only then it is decided about.
"""

import asyncio
import socket
from ipaddress import IPv4Network, IPv6Network, ip_address

from connectd.connections import Connections
from connectd.socket_address import from_socket
from wire.address import parse_address
from wire.control.control_channel import ControlChannel
from wire.control.control_message import Fd
from wire.control.control_wire import UnwrapWebsocket, WebsocketSource
from wire.net.sockman.sockman import SocketAddress, SockMan
from wire.start.late_dataclass import dataclass

MOST_WAITING = 1_000
"""WebSockets of trusted proxies whose requests are not whole yet; the oldest is closed for one more."""


@dataclass(frozen=True, slots=True)
class WebRules:
    """`proxies`: who is believed where WebSockets come from. `read_rate`: as in the limits. `timeout`: seconds for a
    request that comes through a proxy."""

    proxies: tuple[IPv4Network | IPv6Network, ...]
    read_rate: int
    timeout: float


class WebSocketDoor(SockMan):
    """Listens for connectd's `connections`, who decide about every stranger as about those at their own door."""

    def __init__(self, connections: Connections, websocketd: ControlChannel, rules: WebRules) -> None:
        super().__init__()
        self._inside = connections
        self._websocketd = websocketd
        self.rules = rules
        self._waiting: dict[int, tuple[SocketAddress, asyncio.TimerHandle]] = {}
        """Our address, and the deadline, by conn_id."""
        websocketd.on_drained = self.update_accepting

    def renew(self, websocketd: ControlChannel) -> None:
        """Another one has taken the place of one that has died: to it from now on."""
        for conn_id in list(self._waiting):
            self._give_up(conn_id)
        for unsent in self._websocketd.close():
            unsent.close_fds()
        self._websocketd = websocketd
        websocketd.on_drained = self.update_accepting
        self.update_accepting()

    def close_sockets(self) -> None:
        """The socket to websocketd, too."""
        for _, deadline in self._waiting.values():
            deadline.cancel()
        self._waiting.clear()
        super().close_sockets()
        for unsent in self._websocketd.close():
            unsent.close_fds()

    def should_try_to_accept(self) -> bool:
        """Not while websocketd is away or behind, or those are to whom the connections go."""
        free = not self._websocketd.closed and not self._websocketd.queued
        return free and self._inside.should_try_to_accept()

    def event_accept_failed(self, error: OSError) -> None:
        """Mostly: no fds are left."""
        self._inside.event_accept_failed(error)

    def event_new_connection_accepted(self, id: int, me: SocketAddress, them: SocketAddress) -> bool:
        """The TCP connection goes to websocketd; the connection that we know is its stream."""
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            self.event_accept_failed(error)
            return False
        conn_id = self._inside.adopt(ours.detach(), b"")
        trusted = any(ip_address(them.host) in network for network in self.rules.proxies)
        if trusted:
            self._wait(conn_id, me)
        elif not self._let_in(conn_id, me, them):
            theirs.close()
            return False
        fd, _ = self.release(id)
        proxies = [str(network) for network in self.rules.proxies] if trusted else []
        address = str(from_socket(them, me))
        self._websocketd.send(
            UnwrapWebsocket(conn_id, address, self.rules.read_rate, proxies, Fd(fd), Fd(theirs.detach()))
        )
        return True

    def websocket_source(self, message: WebsocketSource) -> None:
        """websocketd has read the request of one that waits. Others are those of a connectd before us, or ended."""
        waiting = self._waiting.pop(message.conn_id, None)
        if waiting is None:
            return
        me, deadline = waiting
        deadline.cancel()
        if message.address is None:
            self._inside.close_connection(message.conn_id)
            return
        client = parse_address(message.address, 0)
        if self._let_in(message.conn_id, me, SocketAddress("tcp", client.host, client.port)):
            self._inside.update_receiving(message.conn_id)

    def _let_in(self, conn_id: int, me: SocketAddress, them: SocketAddress) -> bool:
        if self._inside.event_new_connection_accepted(conn_id, me, them):
            return True
        self._inside.close_connection(conn_id)
        return False

    def _wait(self, conn_id: int, me: SocketAddress) -> None:
        deadline = self._loop.call_later(self.rules.timeout, self._give_up, conn_id)
        self._waiting[conn_id] = me, deadline
        if len(self._waiting) > MOST_WAITING:
            self._give_up(next(iter(self._waiting)))

    def _give_up(self, conn_id: int) -> None:
        _, deadline = self._waiting.pop(conn_id)
        deadline.cancel()
        self._inside.close_connection(conn_id)
