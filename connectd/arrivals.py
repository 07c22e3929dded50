"""The way of a connection through connectd: handshake under one deadline, then its turn, then its owner.

Each connection has one coroutine from its first byte until it is given away; whatever goes wrong on the way ends here,
in one line of the log and the closing of the socket. That of one that has come in is driven by its own events
(`connectd.tasks`), and mostly ends in the call that has brought its INIT.
"""

import asyncio
from typing import Protocol

from connectd.connection import Connection, ConnectionEnded
from connectd.connections import Connections
from connectd.handshake import Handshake
from connectd.initmsg import TheirInit
from connectd.one_per_node import RESERVE, Candidate, OnePerNode
from connectd.reach.ways_out import WaysOut
from connectd.tasks import Deadlines, Tasks
from wire.address import WireAddr
from wire.control.control_wire import PeerInfo
from wire.control.status import Status
from wire.secp256k1 import is_point

status = Status("connectd")


class GivesAway(Protocol):
    """What brings a connection to its next owner: connectd's HandOver, or connectiond on its own."""

    def goes_at_once(self, candidate: Candidate) -> bool:
        """Whether `give_away` would wait for nothing now."""

    async def give_away(self, candidate: Candidate) -> None:
        """Returns when it is sent. Raises ConnectionEnded if the connection ends or is replaced before that."""


class Arrivals:
    """Brings inbound and outbound connections to their owners. `timeout` is the one deadline of those that come in, in
    seconds; `ways_out` says how long a dial may take."""

    def __init__(
        self,
        connections: Connections,
        handshake: Handshake,
        one_per_node: OnePerNode,
        hand_over: GivesAway,
        ways_out: WaysOut,
        tasks: Tasks,
        *,
        node_id: bytes,
        timeout: float,
    ) -> None:
        self._connections = connections
        self._handshake = handshake
        self._one_per_node = one_per_node
        self._hand_over = hand_over
        self._ways_out = ways_out
        self._node_id = node_id
        self._timeout = timeout
        self._deadlines = Deadlines(timeout)
        self._tasks = tasks
        self._tally = connections.tally

    def accepted(self, connection: Connection) -> None:
        """A stranger has connected."""
        self._deadlines.begin(connection.conn_id, self._tasks.drive(self._inbound(connection)))

    async def dial(self, node_id: bytes, address: WireAddr) -> None:
        """Connect to a node, up to INIT; what follows goes on by itself. Raises ConnectionEnded."""
        if node_id == self._node_id:
            raise ConnectionEnded("that is our own id")
        if not is_point(node_id):
            raise ConnectionEnded("the id is no point on the curve")
        connection: Connection | None = None
        try:
            async with asyncio.timeout(self._ways_out.timeout(address)):
                connection = await self._ways_out.connect(address)
                await self._ways_out.introduce(connection, address)
                theirs = await self._handshake.initiate(connection, node_id)
            candidate = self._candidate(connection, theirs)
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                self._tally.failed("out", error, connection)
            if connection is not None:
                self._connections.drop(connection, "dialling has ended")
            if isinstance(error, TimeoutError):
                reason = f"{connection.stage}: timed out" if connection is not None else "Connection timed out"
                raise ConnectionEnded(reason) from None
            raise
        self._tasks.spawn(self._finish(candidate))

    async def _inbound(self, connection: Connection) -> None:
        try:
            theirs = await self._handshake.respond(connection)
            candidate = self._candidate(connection, theirs)
        except (TimeoutError, ConnectionEnded) as error:
            self._tally.failed("in", error, connection)
            self._drop(connection, str(error) or f"{connection.stage}: timed out")
        else:
            if candidate.turn.done() and self._hand_over.goes_at_once(candidate):  # mostly
                await self._finish(candidate)
            else:
                self._tasks.spawn(self._finish(candidate))
        finally:
            self._deadlines.end(connection.conn_id)

    def _candidate(self, connection: Connection, theirs: TheirInit) -> Candidate:
        """INIT is done: from here on nothing is read. Raises ConnectionEnded if it is ourselves."""
        connection.pause()
        if connection.node_id is None or connection.node_id == self._node_id:
            raise ConnectionEnded("that is our own id")
        peer = PeerInfo(
            node_id=connection.node_id,
            conn_id=connection.conn_id,
            address=connection.label,
            incoming=connection.incoming,
            remote_addr=theirs.remote_addr,
            features=theirs.features,
            networks=theirs.networks,
        )
        candidate = Candidate(connection, peer)
        self._enter(candidate)
        return candidate

    def _enter(self, candidate: Candidate) -> None:
        replaced = self._one_per_node.enter(candidate)
        if replaced is candidate:
            raise ConnectionEnded("it has crossed with a connection of the same node, which stays")
        if replaced is not None:
            self._drop(replaced.connection, "a newer connection of the same node has come")

    def go_on(self, candidate: Candidate) -> None:
        """A connection that has done INIT with another connectd, which is not read here."""
        try:
            self._enter(candidate)
        except ConnectionEnded as error:
            candidate.lose(str(error))
            self._drop(candidate.connection, str(error))
        else:
            self._tasks.spawn(self._finish(candidate))

    async def _finish(self, candidate: Candidate) -> None:
        """Wait until no older connection of the node is left, then give this one away."""
        self._tally.done("in" if candidate.peer.incoming else "out")
        try:
            if not candidate.turn.done():  # mostly it is
                patience = RESERVE if self._one_per_node.in_reserve(candidate) else self._timeout
                async with asyncio.timeout(patience):
                    await candidate.turn
            candidate.turn.result()
            await self._hand_over.give_away(candidate)
        except (TimeoutError, ConnectionEnded) as error:
            reason = str(error) or "the older connection of the same node stays"
            self._one_per_node.lost(candidate, reason)
            self._drop(candidate.connection, reason)
        else:
            self._one_per_node.given_away(candidate)

    def _drop(self, connection: Connection, reason: str) -> None:
        if connection.conn_id in self._connections.open:
            status.debug(f"{connection.label}: {reason}", connection.node_id)
        self._connections.drop(connection, reason)
