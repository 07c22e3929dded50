"""connectd's SockMan: hands each event to the connection that it is about, and keeps the bounds of `strangers.py`."""

import errno
import time
from collections.abc import Callable
from dataclasses import replace

from connectd.connection import Connection
from connectd.socket_address import from_socket
from connectd.strangers import Established, Strangers
from connectd.tally import PLACE_NEEDED, Tally
from wire.address import WireAddr, parse_address
from wire.control.access import Access
from wire.control.control_wire import PeerInfo
from wire.control.limits import Limits
from wire.control.privilege import raise_fd_limit
from wire.control.status import Status
from wire.crypto_state import PeerState
from wire.net.sockman.farewell import MOST_FAREWELLS
from wire.net.sockman.sockman import SocketAddress, SockMan

FDS_BESIDES = 156 + MOST_FAREWELLS
"""File descriptors that are wanted for other things than handshakes: sockets to the house, listeners, dials, farewells,
connections on their way to their owners."""
LEAST_HALF_OPEN = 10
FAREWELL = 5.0
"""Seconds that a refused peer has to read why."""


class Connections(SockMan):
    """All connections that connectd has. `on_accepted` is called with each new inbound one.

    `has_room` tells whether the owners take what we have for them.
    """

    def __init__(
        self,
        first_id: int,
        on_accepted: Callable[[Connection], None],
        limits: Limits,
        access: Access,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self.stamp_reads(wanted=True)  # what comes behind INIT is the next owner's, which may ask when it came
        self._next_id = first_id
        self._on_accepted = on_accepted
        self._status = Status("connectd")
        self._access = access
        self._has_room = has_room
        self.tally = Tally()
        self._said: set[str] = set()
        self.established = Established()
        """For the part that knows which connections have been given away, and have not ended."""
        self._strangers = Strangers(self._within_fds(limits), self.established)
        self.open: dict[int, Connection] = {}

    def change_limits(self, limits: Limits) -> None:
        """For those that come from now on."""
        self._strangers.change(self._within_fds(limits))

    def _within_fds(self, limits: Limits) -> Limits:
        most = max(LEAST_HALF_OPEN, raise_fd_limit() - FDS_BESIDES)
        if most >= limits.half_open:
            return limits
        self._status.unusual(f"few files may be open here: at most {most} handshakes at a time")
        return replace(limits, half_open=most)

    def get_new_id(self) -> int:
        """conn_ids count up and never repeat; the master says where they begin."""
        conn_id, self._next_id = self._next_id, self._next_id + 1
        return conn_id

    def add(self, conn_id: int, *, incoming: bool, address: WireAddr) -> Connection:
        """Begin to look after a connection of SockMan's, whose other end is at `address`."""
        connection = Connection(self, conn_id, incoming=incoming, address=address)
        self.open[conn_id] = connection
        if incoming:
            self._strangers.came(conn_id, address)
        return connection

    def take(self, fd: int, peer: PeerInfo, state: PeerState, begun: float) -> Connection:
        """One that has done INIT with another connectd. Raises OSError, ValueError: the fd is the caller's then."""
        address = parse_address(peer.address, 0)
        self.adopt(fd, state.unsent, peer.conn_id)
        connection = self.add(peer.conn_id, incoming=peer.incoming, address=address)
        connection.restore(peer.node_id, state, begun)
        return connection

    def forget(self, connection: Connection) -> None:
        """The connection has been given away, or closed."""
        if self.open.pop(connection.conn_id, None) is not None:
            self._strangers.went(connection.conn_id)

    def drop(self, connection: Connection, reason: str) -> None:
        """Close the connection, if that has not been done already; a peer that was told why may read it first."""
        reads = connection.parting and connection.lost is None
        self.forget(connection)
        if reads:
            self.close_when_sent(connection.conn_id, FAREWELL)
        else:
            self.close_connection(connection.conn_id)
        connection.lose(reason)  # last: its handshake goes on in this very call, and finds nothing to do

    # SockMan's events

    def event_new_connection_accepted(self, id: int, me: SocketAddress, them: SocketAddress) -> bool:
        """Whether one more stranger may come. If it is one too many, another goes."""
        address = from_socket(them, me)
        reason = self._access.refuses_address(address, time.time()) or self._strangers.refuses(
            address, time.monotonic()
        )
        if reason is not None:
            self.tally.refuse(reason)
            self._status.debug(f"{address}: {reason}")
            return False
        connection = self.add(id, incoming=True, address=address)
        self._on_accepted(connection)
        if self._strangers.too_many:
            self._say_once("too many connections are in their handshake: the oldest ones are closed")
            self.make_room()
        return True

    def make_room(self) -> bool:
        """Close the handshake that has its place with least right. False if there is none."""
        conn_id = self._strangers.next_to_go()
        if conn_id is None:
            return False
        self.tally.refuse(PLACE_NEEDED)
        self.drop(self.open[conn_id], PLACE_NEEDED)
        return True

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._status.unusual(text)
        self._said.add(text)

    def should_try_to_accept(self) -> bool:
        """No more come in while the owners of those who have come are behind."""
        return self._has_room()

    def event_got_data(self, id: int, data: bytes) -> None:
        """To the inbox."""
        if connection := self.open.get(id):
            connection.got_data(data, self.read_at_ns)

    def event_got_eof(self, id: int) -> None:
        """The peer will say no more."""
        if connection := self.open.get(id):
            connection.got_eof()

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        """The socket is broken."""
        if connection := self.open.get(id):
            connection.lose(error.strerror or str(error))

    def event_accept_failed(self, error: OSError) -> None:
        """Mostly: no fds are left. Then that of a handshake is needed more."""
        made_room = error.errno in (errno.EMFILE, errno.ENFILE) and self.make_room()
        self._say_once(f"cannot accept: {error.strerror}" + (": handshakes are closed for it" if made_room else ""))

    def event_onion_listen(self, address: str) -> None:
        """Tor leads here."""
        self._status.info(f"onion service {address} leads here")

    def should_try_to_recv(self, id: int) -> bool:
        """Reading pauses while an inbox is full, and when a connection waits for its next owner."""
        connection = self.open.get(id)
        return connection is not None and connection.wants_data()
