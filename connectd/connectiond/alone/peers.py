"""The connections of a connectiond that runs on its own: connectd's own modules, up to INIT, then a line for each.

Connections, Handshake, Arrivals, OnePerNode, WaysOut, Dialler, Listeners     as in connectd
give_away                                                                    to a process or a thread
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from connectd.arrivals import Arrivals
from connectd.connection import Connection, ConnectionEnded
from connectd.connectiond.alone.options import Settings
from connectd.connectiond.lines.elsewhere import DistantLine, StartCarrier
from connectd.connectiond.lines.line import LineEvents
from connectd.connections import Connections
from connectd.doors.listen import BindRules, Listeners
from connectd.handshake import Handshake
from connectd.one_per_node import Candidate, OnePerNode
from connectd.reach.addresses import AddressBook
from connectd.reach.dial import Dialler
from connectd.reach.ways_out import WaysOut
from connectd.tasks import Tasks
from wire.control.access import Access
from wire.control.control_message import Fd
from wire.control.control_wire import PeerInfo, TakePeer, Ways
from wire.control.limits import Limits
from wire.control.status import Status
from wire.control.timing import Timing
from wire.net.sockman.sockman import SockManOptions

FIRST_CONN_ID = 1

status = Status("connectiond")


class Switchboard(LineEvents, Protocol):
    """Where the lines lead to."""

    def came(self, line: DistantLine) -> None:
        """A new one, before anything is heard on it."""

    def disconnect(self, line: DistantLine, reason: str) -> None:
        """To be ended."""


class StandalonePeers:
    """All connections. `went` is called when nothing is left of a line."""

    def __init__(
        self,
        settings: Settings,
        node_id: bytes,
        ecdh: Callable[[bytes], Awaitable[bytes]],
        start_line: StartCarrier,
        bus: Switchboard,
        went: Callable[[DistantLine], None],
        tasks: Tasks,
        timing: Timing,
    ) -> None:
        self.lines: dict[int, DistantLine] = {}
        """By conn_id."""
        self._ending = False
        self._settings = settings
        self._start_line = start_line
        self._bus = bus
        self._went = went
        self._timing = timing
        access = Access()
        self._connections = Connections(FIRST_CONN_ID, self._accepted, Limits(), access, self._has_room)
        self._one_per_node = OnePerNode(node_id, self._replaced, self._candidate_came, self._connections.established)
        handshake = Handshake(
            node_id=node_id, chain_hash=settings.chain_hash, features=settings.features, ecdh=ecdh, access=access
        )
        ways = Ways(settings.proxy, settings.always_use_proxy, use_dns=self._use_dns)
        ways_out = WaysOut(self._connections, ways, timing.connection_timeout)
        self._arrivals = Arrivals(
            self._connections,
            handshake,
            self._one_per_node,
            self,
            ways_out,
            tasks,
            node_id=node_id,
            timeout=timing.connection_timeout,
        )
        self._dialler = Dialler(
            self._one_per_node, AddressBook(), ways_out, self._arrivals.dial, _nothing_announced, port=settings.port
        )

    @property
    def _use_dns(self) -> bool:
        return not self._settings.always_use_proxy

    async def listen(self) -> list[str]:
        """Bind all that is to be listened on, and accept. The addresses as bound. Raises BindFailed."""
        rules = BindRules(port=self._settings.port, use_dns=self._use_dns, guess=False, announce_any=False)
        listeners = Listeners(self._connections, None, rules)
        for text in self._settings.listen:
            await listeners.listen(text, announce=False)
        self._connections.start(SockManOptions())
        return listeners.bindings

    async def reach(self, node_id: bytes, address: str | None) -> PeerInfo:
        """Connect to a node, or find that it is connected. Raises ReachFailed."""
        return await self._dialler.reach(node_id, [] if address is None else [address])

    def of_node(self, node_id: bytes) -> DistantLine | None:
        """The node's line."""
        owned = self._one_per_node.owned(node_id)
        return self.lines.get(owned.conn_id) if owned is not None else None

    async def end(self, reason: str) -> None:
        """Accept no more, close every connection, and wait until nothing is left of them."""
        self._ending = True
        for connection in list(self._connections.open.values()):
            self._connections.drop(connection, reason)
        self._connections.close_sockets()
        for line in list(self.lines.values()):
            self._bus.disconnect(line, reason)
        while self.lines:
            await next(iter(self.lines.values())).wait()

    def close(self) -> None:
        """The same without waiting: every line ends with our end of it."""
        self._connections.close_sockets()
        for line in self.lines.values():
            line.close()

    # connectd's parts ask

    def goes_at_once(self, candidate: Candidate) -> bool:
        """A process or a thread is started for each."""
        return False

    async def give_away(self, candidate: Candidate) -> None:
        """As `HandOver`: out of the loop, sent, our copy closed. Raises ConnectionEnded."""
        connection, peer = candidate.connection, candidate.peer
        if not self._one_per_node.is_newest(candidate):
            raise ConnectionEnded("a newer connection of the same node has come")
        if connection.lost is not None:
            raise ConnectionEnded(connection.lost)
        if not self._has_room():
            raise ConnectionEnded("no more connections are taken")
        fd, state = connection.release()
        taken = TakePeer("", peer, None, state, Fd(fd), None, self._timing)
        try:
            line = DistantLine(taken, self._start_line, self._bus, self._line_ended)
        except (OSError, RuntimeError) as error:
            taken.close_fds()
            self._connections.forget(connection)
            raise ConnectionEnded(f"nothing can be started for it: {error}") from error
        self.lines[peer.conn_id] = line
        self._connections.forget(connection)
        self._bus.came(line)

    def _line_ended(self, line: DistantLine) -> None:
        del self.lines[line.peer.conn_id]
        self._one_per_node.disconnected(line.peer.node_id, line.peer.conn_id)
        self._connections.update_accepting()
        self._went(line)

    def _accepted(self, connection: Connection) -> None:
        self._arrivals.accepted(connection)

    def _candidate_came(self, candidate: Candidate) -> None:
        self._dialler.candidate_came(candidate)

    def _replaced(self, node_id: bytes, conn_id: int) -> None:
        if line := self.lines.get(conn_id):
            self._bus.disconnect(line, "a newer connection of the same node has come")

    def _has_room(self) -> bool:
        return not self._ending and len(self.lines) < self._settings.max_connections


async def _nothing_announced(node_id: bytes) -> list[str]:
    """There is no map here."""
    return []
