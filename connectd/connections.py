"""connectd's SockMan: hands each event to the connection that it is about, and refuses strangers beyond the bound."""

from collections.abc import Callable

from connectd.addresses import from_socket
from connectd.connection import Connection
from wire.address import WireAddr
from wire.sockman import SocketAddress, SockMan
from wire.status import Status

MAX_HALF_OPEN = 1_000
"""Inbound connections that have not been given away yet; further ones are closed when they are accepted."""
FAREWELL = 5.0
"""Seconds that a refused peer has to read why."""
MAX_FAREWELLS = 100
"""Refused peers that may take their time over it; further ones are closed at once."""


class Connections(SockMan):
    """All connections that connectd has. `on_accepted` is called with each new inbound one."""

    def __init__(self, first_id: int, on_accepted: Callable[[Connection], None]) -> None:
        super().__init__()
        self._next_id = first_id
        self._on_accepted = on_accepted
        self._status = Status("connectd")
        self._full = False
        self._inbound = 0
        self.open: dict[int, Connection] = {}

    def get_new_id(self) -> int:
        """conn_ids count up and never repeat; the master says where they begin."""
        conn_id, self._next_id = self._next_id, self._next_id + 1
        return conn_id

    def add(self, conn_id: int, *, incoming: bool, address: WireAddr) -> Connection:
        """Begin to look after a connection of SockMan's, whose other end is at `address`."""
        connection = Connection(self, conn_id, incoming=incoming, address=address)
        self.open[conn_id] = connection
        self._inbound += incoming
        return connection

    def forget(self, connection: Connection) -> None:
        """The connection has been given away, or closed."""
        if self.open.pop(connection.conn_id, None) is not None:
            self._inbound -= connection.incoming

    def drop(self, connection: Connection, reason: str) -> None:
        """Close the connection, if that has not been done already; a peer that was told why may read it first."""
        reads = connection.parting and connection.lost is None and len(self._farewells) < MAX_FAREWELLS
        self.forget(connection)
        connection.lose(reason)
        if reads:
            self.close_when_sent(connection.conn_id, FAREWELL)
        else:
            self.close_connection(connection.conn_id)

    # SockMan's events

    def event_new_connection_accepted(self, id: int, me: SocketAddress, them: SocketAddress) -> bool:
        """Room for one more stranger?"""
        if self._inbound >= MAX_HALF_OPEN:
            self._complain_once()
            return False
        self._full = False
        self._on_accepted(self.add(id, incoming=True, address=from_socket(them, me)))
        return True

    def _complain_once(self) -> None:
        if not self._full:
            self._status.unusual(f"{MAX_HALF_OPEN} connections are in their handshake: new ones are refused")
        self._full = True

    def event_got_data(self, id: int, data: bytes) -> None:
        """To the inbox."""
        if connection := self.open.get(id):
            connection.got_data(data)

    def event_got_eof(self, id: int) -> None:
        """The peer will say no more."""
        if connection := self.open.get(id):
            connection.got_eof()

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        """The socket is broken."""
        if connection := self.open.get(id):
            connection.lose(error.strerror or str(error))

    def event_accept_failed(self, error: OSError) -> None:
        """Mostly: no fds are left."""
        self._status.unusual(f"cannot accept: {error.strerror}")

    def should_try_to_recv(self, id: int) -> bool:
        """Reading pauses while an inbox is full, and when a connection waits for its next owner."""
        connection = self.open.get(id)
        return connection is not None and connection.wants_data()
