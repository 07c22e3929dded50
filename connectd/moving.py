"""One connectd takes the place of another, and no stranger stands before a closed door.

The sockets at which strangers arrive are the master's, and both have copies: who has connected and was not accepted
waits there. The old one stops accepting, waits until what it gives away has gone, and sends what it knows: where each
node's connection is, addresses, onion services. Until the new one has all of that the old one has lost nothing, and
goes on if the new one fails. After that the old one finishes the handshakes and dials that it has begun, each by its
own deadline; what has done INIT goes to the new one, which finds its place among the others and its owner. Then the old
one ends.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import field

from connectd.connection import Connection, ConnectionEnded
from connectd.doors.tor import MovedOnion
from connectd.one_per_node import Candidate, MovedNode
from connectd.parts import Parts
from connectd.tasks import Tasks
from wire.address import parse_address
from wire.control.control_channel import ChannelClosed, ControlChannel, RequestFailed
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    MoveCandidate,
    MoveCandidateReply,
    MoveCandidateReplyfail,
    MoveDone,
    MovePlace,
    MovePlaceReply,
    MovePlaceReplyfail,
    PeerInfo,
)
from wire.control.daemon import inherited_socket
from wire.control.status import Status
from wire.crypto_state import PeerState
from wire.net.moving import FAILURES, MOVE_TIME, MoveFailed, close_channel, reason_of, soon, successor_at
from wire.net.states import StateError, dump, load
from wire.start.late_dataclass import dataclass

VERSION = 1
"""Of `MovedPlace` and `MovedCandidate`. A field more needs no new one: it has a default."""
CANDIDATES = 100_000
"""Connections that may wait at the new one for their owners at a time, of one old one: it has not so many."""
DEAD = "the next connectd has died"
FINISH = 600.0
"""Seconds for the handshakes and dials of the old one, and for their connections to find their owners."""

status = Status("connectd")


@dataclass(frozen=True, slots=True)
class MovedPlace:
    """What a connectd knows."""

    nodes: list[MovedNode] = field(default_factory=list)
    addresses: list[tuple[bytes, list[str], list[str]]] = field(default_factory=list)
    onions: list[MovedOnion] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class MovedCandidate:
    """A connection that has done INIT. Both times are of the machine's monotonic clock."""

    peer: PeerInfo
    state: PeerState
    begun: float
    done: float


class Move:
    """From the old one's side."""

    def __init__(self, parts: Parts, tasks: Tasks, successor_fd: Fd) -> None:
        self._parts = parts
        self._tasks = tasks
        self._successor = successor_at(successor_fd, window=CANDIDATES)

    async def run(self) -> tuple[int, int]:
        """How many connections are still here, and how many are known. Raises MoveFailed, and then we go on."""
        parts = self._parts
        parts.hand_over.hold()
        self._update_doors()
        try:
            async with asyncio.timeout(MOVE_TIME):
                await soon(lambda: parts.hand_over.idle, 2 * MOVE_TIME)
                nodes = await self._move_place()
        except FAILURES as error:
            reason = reason_of(error)
            status.unusual(f"the next connectd cannot take our place, and we go on: {reason}")
            self.close()
            parts.hand_over.go_on()
            self._update_doors()
            raise MoveFailed(reason) from error
        self._successor.send(MoveDone())
        for door in parts.doors:
            door.leave_listeners()
        parts.onions.let_go()
        parts.one_per_node.let_go()
        parts.hand_over.go_on(self._move)
        return len(parts.connections.open), nodes

    async def finish(self, also: Callable[[], bool]) -> None:
        """Wait until nothing is left here that only we can do, and `also` says the same."""
        parts = self._parts

        def done() -> bool:
            here = len(self._tasks) or parts.dialler.busy or self._successor.queued
            return not here and parts.connections.idle and also()

        await soon(done, FINISH)

    def close(self) -> None:
        """Say no more to the next one."""
        close_channel(self._successor)

    def _update_doors(self) -> None:
        for door in self._parts.doors:
            door.update_accepting()

    async def _move_place(self) -> int:
        parts = self._parts
        onions, fds = parts.onions.leave()
        place = MovedPlace(parts.one_per_node.leave(), parts.book.leave(), onions)
        await self._successor.request(MovePlace(dump(place, VERSION), fds), MovePlaceReply)
        return len(place.nodes)

    async def _move(self, candidate: Candidate) -> None:
        """Returns when its owner has it. Raises ConnectionEnded."""
        if candidate.connection.lost is not None:
            raise ConnectionEnded(candidate.connection.lost)
        if self._successor.closed:
            raise ConnectionEnded(DEAD)
        begun = candidate.connection.begun
        fd, state = candidate.connection.release()
        moved = MovedCandidate(candidate.peer, state, begun, candidate.done)
        message = MoveCandidate(dump(moved, VERSION), Fd(fd))
        try:
            await self._successor.request(message, MoveCandidateReply)
        except RequestFailed as failed:
            raise ConnectionEnded(str(failed)) from None
        except ChannelClosed:
            raise ConnectionEnded(DEAD) from None


class Predecessor:
    """From the new one's side: what the old one sends, until that ends."""

    def __init__(self, predecessor_fd: Fd, parts: Parts, tasks: Tasks) -> None:
        self._parts = parts
        self._tasks = tasks
        sock = inherited_socket(str(predecessor_fd))
        self._channel = ControlChannel(sock, "predecessor", self._hear, lambda reason: None)

    @property
    def has_ended(self) -> bool:
        """Nothing more will come."""
        return self._channel.closed

    def close(self) -> None:
        """Hear no more."""
        close_channel(self._channel)

    def _hear(self, message: ControlMessage) -> None:
        match message:
            case MovePlace():
                self._tasks.spawn(self._take_place(message))
            case MoveDone():
                status.debug("the other connectd has left its place to us")
            case MoveCandidate():
                self._take(message)
            case _:
                message.close_fds()
                raise RuntimeError(f"another connectd said {message.name()}")

    async def _take_place(self, message: MovePlace) -> None:
        parts = self._parts
        try:
            place = load(MovedPlace, message.state, VERSION)
            for onion, fd in zip(place.onions, message.tor_fds, strict=True):
                await parts.onions.go_on(onion, fd)
        except (StateError, ValueError, OSError) as error:
            self._channel.reply(message, MovePlaceReplyfail(str(error)))
            return
        parts.one_per_node.go_on(place.nodes)
        parts.book.go_on(place.addresses)
        self._channel.reply(message, MovePlaceReply())

    def _take(self, message: MoveCandidate) -> None:
        try:
            moved = load(MovedCandidate, message.state, VERSION)
            address = parse_address(moved.peer.address, 0)
            if reason := self._parts.access.refuses_node(address, moved.peer.node_id, time.time()):
                raise ValueError(reason)
            connection = self._parts.connections.take(message.peer_fd, moved.peer, moved.state, moved.begun)
        except (StateError, ValueError, OSError) as error:
            message.close_fds()
            self._channel.reply(message, MoveCandidateReplyfail(str(error)))
            return
        self._tasks.spawn(self._settle(message, self._candidate(connection, moved)))

    def _candidate(self, connection: Connection, moved: MovedCandidate) -> Candidate:
        candidate = Candidate(connection, moved.peer)
        candidate.done = moved.done
        self._parts.arrivals.go_on(candidate)
        return candidate

    async def _settle(self, message: MoveCandidate, candidate: Candidate) -> None:
        reason = await candidate.settled
        self._channel.reply(message, MoveCandidateReply() if reason is None else MoveCandidateReplyfail(reason))
