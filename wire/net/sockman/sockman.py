"""The sockets of a process that talks to peers: listening, dialling, reading and writing on its asyncio loop.

Cut as Bitcoin Core's SockMan (bitcoin/bitcoin, pull request 30988): the methods are called, the events are overridden,
and nothing here knows what the bytes mean. Instead of Core's thread that polls, the loop looks at one epoll for all of
them; there is no task and no thread. Two methods are ours: `adopt` takes in a connection that another process has given
away, `release` gives one away, and between them no byte is lost or sent twice.

Events are called synchronously, at most one `recv` a connection and turn. An event may close or release any
connection, its own too: nothing is read or called for it after that.
"""

import asyncio
import contextlib
import os
import socket

from wire.net.sockman import stamps
from wire.net.sockman.events import RECV_SIZE, ConnectResult, SocketAddress, SockManOptions
from wire.net.sockman.farewell import Farewell, Farewells, said
from wire.net.sockman.listening import Listening
from wire.net.sockman.polling import READ, WRITE, Polling
from wire.net.sockman.sockets import SEND, SEND_MORE, address_of, dial, resolve, set_up
from wire.start.late_dataclass import dataclass

__all__ = ["ConnectResult", "SockMan", "SockManOptions", "SocketAddress"]


@dataclass(slots=True, eq=False)
class _Connection:
    """One connected socket."""

    sock: socket.socket
    id: int
    fd: int
    unsent: bytearray
    watched: int = 0  # READ, WRITE, both, or 0
    alive: bool = True
    wanted: bool = False  # want_to_send was called
    skip_recv: bool = False  # event_ready_to_send has cancelled the next recv
    at_eof: bool = False
    broken: OSError | None = None  # nothing can be sent any more


class SockMan(Listening):
    """All peers' sockets of one process, on the running asyncio loop. The id of a connection that is closed or released
    raises KeyError, if nothing else is said."""

    def __init__(self) -> None:
        super().__init__()
        self._connections: dict[int, _Connection] = {}
        self._polling = Polling(self._readable, self._writable)
        self._farewells = Farewells()
        self._last_id = 0
        self._all_closed: asyncio.Future[None] | None = None
        self.stamps_reads = False
        self.read_at_ns = 0
        """When what was read last had arrived, unix nanoseconds; 0 while reads are not stamped."""
        self._turn_noted = False
        self._wants_turns = (
            type(self).event_io_loop_completed_for_all_peers is not SockMan.event_io_loop_completed_for_all_peers
        )

    # the end

    @property
    def idle(self) -> bool:
        """No connection is here, and no last words of one are on their way."""
        return not self._connections and not self._farewells

    async def join(self) -> None:
        """Stop to accept, and wait until the last connection is released, or closed and its last bytes have left."""
        self._close_listeners()
        if self._connections:
            self._all_closed = self._all_closed or self._loop.create_future()
            await asyncio.shield(self._all_closed)
        await said(self._farewells)

    def close_sockets(self) -> None:
        """Close the listeners and every connection; what is unsent is lost."""
        self._close_listeners()
        for id in list(self._connections):
            self.close_connection(id)
        self._polling.close()
        for farewell in list(self._farewells):
            farewell.end()

    def _prepare_listener(self, sock: socket.socket) -> None:
        super()._prepare_listener(sock)
        stamps.stamp(sock, wanted=self.stamps_reads)

    def _accepted(self, sock: socket.socket, peername: object, me: SocketAddress) -> None:
        sock.setblocking(False)  # the one thing that it has not from its listener
        connection = self._add(sock, self.get_new_id(), stamped=True)
        if not self.event_new_connection_accepted(connection.id, me, address_of(peername)):
            self.close_connection(connection.id)
        self._completed(connection)

    # connections come and go

    async def connect_and_make_node_id(
        self, to: SocketAddress, is_important: bool, proxy: SocketAddress | None
    ) -> ConnectResult:
        """Dial an address, every one that its name has if it is a name. Failure is an answer; a cancelled dial leaves
        nothing behind.

        With a proxy the connection goes to it, and what is to be said to it is the caller's; `proxy_failed` tells that
        it was not reached. `is_important` is for subclasses. The caller must know the id before it waits for anything.
        """
        error: OSError | None = None
        try:
            addresses = await resolve(proxy or to)
        except OSError as failure:
            addresses, error = [], failure
        for family, address in addresses:
            try:
                sock = await dial(family, address)
                me = address_of(sock.getsockname())
            except OSError as failure:
                error = failure
            else:
                return ConnectResult(self._add(sock, self.get_new_id()).id, me)
        reason = (error.strerror if error is not None else None) or str(error)
        return ConnectResult(None, None, proxy is not None, reason)

    def adopt(self, fd: int, unsent: bytes, id: int | None = None) -> int:
        """Take in a connected socket with the bytes that are to be sent first; reading begins with the next turn.

        The fd is ours from here on, made non-blocking and close-on-exec. A failure to send is told by an event, later.
        Raises OSError if the fd is no socket, ValueError if the id is in use: the fd is still the caller's then.
        """
        id = self.get_new_id() if id is None else id
        if id in self._connections:
            raise ValueError(f"connection {id} is here already")
        sock = socket.socket(fileno=fd)
        try:
            os.set_inheritable(fd, False)
            set_up(sock)
        except BaseException:
            sock.detach()
            raise
        self._add(sock, id)
        if unsent:
            self.send_bytes(id, unsent)
        return id

    def release(self, id: int) -> tuple[int, bytes]:
        """Give a connection away: its fd, which is out of the loop and the caller's now, and the bytes still unsent."""
        connection = self._remove(id)
        return connection.sock.detach(), bytes(connection.unsent)

    def close_connection(self, id: int) -> bool:
        """Close a connection; what is unsent is lost. False if it is not here."""
        if id not in self._connections:
            return False
        self._remove(id).sock.close()
        return True

    def close_when_sent(self, id: int, timeout: float) -> None:
        """Close a connection when the other end has had what is unsent, after `timeout` seconds in any case.

        It is gone at once: no event of it is called any more. Of MOST_FAREWELLS and one the oldest is closed.
        """
        connection = self._remove(id)
        Farewell(connection.sock, connection.unsent, self._loop, timeout, self._farewells)

    def get_new_id(self) -> int:
        """An id that no connection has had. Overridable."""
        self._last_id += 1
        return self._last_id

    def _add(self, sock: socket.socket, id: int, *, stamped: bool = False) -> _Connection:
        """`stamped`: as is wanted, by its listener; the last owner of any other may have wanted it otherwise."""
        connection = _Connection(sock, id, sock.fileno(), bytearray())
        self._connections[id] = connection
        if not stamped:
            stamps.stamp(sock, wanted=self.stamps_reads)
        self._start_receiving(connection)
        return connection

    def _remove(self, id: int) -> _Connection:
        """Out of the loop first: a registration that outlives its fd spins, or hits the next owner of the number."""
        connection = self._connections.pop(id)
        connection.alive = False
        if connection.watched:
            self._polling.watch(connection, 0)
        if not self._connections and self._all_closed is not None:
            self._all_closed.set_result(None)
            self._all_closed = None
        return connection

    def stamp_reads(self, *, wanted: bool) -> None:
        """From now on `read_at_ns` says when what is read has arrived, or 0; it costs a microsecond a read."""
        self.stamps_reads, self.read_at_ns = wanted, 0
        connected = [connection.sock for connection in self._connections.values()]
        for sock in [*connected, *(listener.sock for listener in self._listeners)]:
            stamps.stamp(sock, wanted=wanted)

    # sending

    def send_bytes(self, id: int, data: bytes | bytearray | memoryview, will_send_more: bool = False) -> int:
        """Send what the socket takes now and keep the rest. Returns how many bytes are unsent: mind it, nothing else
        bounds it. With `will_send_more` the kernel may wait for more before it sends a packet.

        A failed write is told by event_got_permanent_read_error, later; until then what is sent is thrown away.
        """
        connection = self._connections[id]
        if connection.broken is not None:
            return len(connection.unsent)
        sent = 0 if connection.unsent else self._send(connection, data, will_send_more)
        if sent < len(data) and connection.broken is None:
            connection.unsent += memoryview(data)[sent:] if sent else data
            self._start_writing(connection)
        return len(connection.unsent)

    def unsent_size(self, id: int) -> int:
        """Bytes that the socket has not taken yet."""
        return len(self._connections[id].unsent)

    def takes(self, id: int) -> bool:
        """Whether all that was sent is with the kernel, which may take more."""
        connection = self._connections[id]
        return not connection.unsent and connection.broken is None

    def want_to_send(self, id: int) -> None:
        """Ask for one event_ready_to_send."""
        connection = self._connections[id]
        if connection.broken is None:
            connection.wanted = True
            self._start_writing(connection)

    def _send(self, connection: _Connection, data: bytes | bytearray | memoryview, more: bool = False) -> int:
        """How many bytes the socket took."""
        try:
            return connection.sock.send(data, SEND_MORE if more else SEND)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._write_failed(connection, error)
            return 0

    def _writable(self, connection: _Connection) -> None:
        if not self.should_try_to_send(connection.id):
            self._stop_writing(connection)
            return
        if connection.alive and connection.unsent:
            del connection.unsent[: self._send(connection, connection.unsent)]
        if connection.wanted and connection.alive and not connection.unsent and connection.broken is None:
            connection.wanted = False
            connection.skip_recv = self.event_ready_to_send(connection.id)
        if not connection.unsent and not connection.wanted:
            self._stop_writing(connection)
        self._completed(connection)

    def _write_failed(self, connection: _Connection, error: OSError) -> None:
        """Not told at once: the caller is in the midst of something, and the other end may have said why."""
        connection.broken = error
        self._stop_writing(connection)
        self._stop_receiving(connection)
        self._loop.call_soon(self._read_last_words, connection)

    def _read_last_words(self, connection: _Connection) -> None:
        """Nothing can be sent any more: hand out what was received before that, a piece a turn, then tell it."""
        if not connection.alive or connection.broken is None:
            return
        data, behind = b"", self.is_behind(connection.id)
        if not behind and not connection.at_eof and self.should_try_to_recv(connection.id):
            with contextlib.suppress(OSError):
                data = self._receive(connection.sock)
        if data or behind:
            self._loop.call_soon(self._read_last_words, connection)
        if data:
            self.event_got_data(connection.id, data)
        elif not behind:
            self.event_got_permanent_read_error(connection.id, connection.broken)
        self._completed(connection)

    # receiving

    def update_receiving(self, id: int) -> None:
        """Ask should_try_to_recv again, and look at the socket or leave it alone."""
        connection = self._connections[id]
        if not self.should_try_to_recv(id):
            self._stop_receiving(connection)
        elif not connection.at_eof and connection.broken is None:
            self._start_receiving(connection)

    def _readable(self, connection: _Connection) -> None:
        if connection.skip_recv:
            connection.skip_recv = False
            return
        if not self.should_try_to_recv(connection.id):
            self._stop_receiving(connection)
            return
        if not connection.alive:
            return
        try:
            data = self._receive(connection.sock) if self.stamps_reads else connection.sock.recv(RECV_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._read_failed(connection, error)
        else:
            if data:
                self.event_got_data(connection.id, data)
            else:
                connection.at_eof = True
                self._stop_receiving(connection)
                self.event_got_eof(connection.id)
        self._completed(connection)

    def _receive(self, sock: socket.socket) -> bytes:
        if not self.stamps_reads:
            return sock.recv(RECV_SIZE)
        data, self.read_at_ns = stamps.receive(sock, RECV_SIZE)
        return data

    def _read_failed(self, connection: _Connection, error: OSError) -> None:
        connection.broken = error
        self._stop_receiving(connection)
        self._stop_writing(connection)
        self.event_got_permanent_read_error(connection.id, error)

    # the loop

    def _start_receiving(self, connection: _Connection) -> None:
        if not connection.watched & READ:
            self._polling.watch(connection, connection.watched | READ)

    def _stop_receiving(self, connection: _Connection) -> None:
        if connection.watched & READ:
            self._polling.watch(connection, connection.watched & ~READ)

    def _start_writing(self, connection: _Connection) -> None:
        if not connection.watched & WRITE:
            self._polling.watch(connection, connection.watched | WRITE)

    def _stop_writing(self, connection: _Connection) -> None:
        if connection.watched & WRITE:
            self._polling.watch(connection, connection.watched & ~WRITE)

    def _completed(self, connection: _Connection) -> None:
        if connection.alive:
            self.event_io_loop_completed_for_node(connection.id)
        if self._wants_turns and not self._turn_noted:  # it costs another turn of the loop
            self._turn_noted = True
            self._loop.call_soon(self._turn_completed)  # runs behind all that this turn has found ready

    def _turn_completed(self) -> None:
        self._turn_noted = False
        self.event_io_loop_completed_for_all_peers()
