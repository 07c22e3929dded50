"""What SockMan says and is told: addresses, options, results, and the events that its subclasses override."""

from wire.start.late_dataclass import dataclass

RECV_SIZE = 65_536
"""Bytes that one event reads at most."""


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """Where a socket is: ("tcp", host, port) or ("unix", path, 0). An unnamed unix socket has an empty path."""

    family: str
    host: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class SockManOptions:
    """What `start` takes."""

    accepts_per_turn: int = 16
    """Connections accepted at one wake-up of a listener."""
    accept_pause: float = 0.1
    """Seconds without accepting after it has failed, for want of fds mostly."""


@dataclass(frozen=True, slots=True)
class ConnectResult:
    """How a dial ended: the new connection's id and our address, or why there is none."""

    id: int | None
    me: SocketAddress | None = None
    proxy_failed: bool = False
    error: str = ""


class SockManEvents:
    """What happens to connections: for subclasses of SockMan to override. `id` is the connection's."""

    def event_new_connection_accepted(self, id: int, me: SocketAddress, them: SocketAddress) -> bool:
        """A connection came in, at the listener `me`. False closes it."""
        return True

    def event_accept_failed(self, error: OSError) -> None:
        """Nothing can be accepted for `accept_pause` seconds, mostly because fds have run out."""

    def event_got_data(self, id: int, data: bytes) -> None:
        """1 to RECV_SIZE bytes were read."""

    def event_got_eof(self, id: int) -> None:
        """The other end sends no more. It may still read: sending goes on until `close_connection`."""

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        """The connection is lost, by a failed read or write; nothing more happens on it. It is still to be closed."""

    def event_ready_to_send(self, id: int) -> bool:
        """After `want_to_send`: the socket is writable and nothing is unsent. Called once for each wish.

        True skips the connection's next recv: for those who want to send all they have before they read more.
        """
        return False

    def should_try_to_send(self, id: int) -> bool:
        """Asked before unsent bytes are sent and before event_ready_to_send; after False nothing is tried until the
        next `send_bytes` or `want_to_send`."""
        return True

    def should_try_to_recv(self, id: int) -> bool:
        """Asked before each recv; after False the socket is not looked at until `update_receiving`."""
        return True

    def is_behind(self, id: int) -> bool:
        """What was read is still being dealt with: asked when the connection is broken, and what was received before
        that is to be handed out."""
        return False

    def should_try_to_accept(self) -> bool:
        """Asked before each accept; after False nothing is accepted until `update_accepting`."""
        return True

    def event_io_loop_completed_for_node(self, id: int) -> None:
        """The events that came of one wake-up of this connection have been called."""

    def event_io_loop_completed_for_all_peers(self) -> None:
        """Every connection that the loop has found ready in this turn has been dealt with."""

    def event_onion_listen(self, address: str) -> None:
        """An onion service leads to our listener now. Called by what talks to Tor (SockMan has this for I2P)."""
