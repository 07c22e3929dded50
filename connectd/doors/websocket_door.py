"""The door for WebSockets: accepts them, and has websocketd unwrap each into a stream that is a connection like any."""

import socket

from connectd.connections import Connections
from connectd.socket_address import from_socket
from wire.control.control_channel import ControlChannel
from wire.control.control_message import Fd
from wire.control.control_wire import UnwrapWebsocket
from wire.net.sockman.sockman import SocketAddress, SockMan


class WebSocketDoor(SockMan):
    """Listens for connectd's `connections`, who decide about every stranger as about those at their own door."""

    def __init__(self, connections: Connections, websocketd: ControlChannel) -> None:
        super().__init__()
        self._inside = connections
        self._websocketd = websocketd
        websocketd.on_drained = self.update_accepting

    def renew(self, websocketd: ControlChannel) -> None:
        """Another one has taken the place of one that has died: to it from now on."""
        for unsent in self._websocketd.close():
            unsent.close_fds()
        self._websocketd = websocketd
        websocketd.on_drained = self.update_accepting
        self.update_accepting()

    def close_sockets(self) -> None:
        """The socket to websocketd, too."""
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
        if not self._inside.event_new_connection_accepted(conn_id, me, them):
            self._inside.close_connection(conn_id)
            theirs.close()
            return False
        fd, _ = self.release(id)
        self._websocketd.send(UnwrapWebsocket(str(from_socket(them, me)), Fd(fd), Fd(theirs.detach())))
        return True
