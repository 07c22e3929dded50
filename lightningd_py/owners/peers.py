"""Who owns which connection: the master's table, and the state machine of a connection's way.

The table NEXT is enforced: a message that has no row in the state in which it comes is a bug of ours or of a
program's, never a stranger's, since no stranger's bytes reach this file. docs/handover.md is drawn from it.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import field
from enum import Enum

from wire.control.control_message import Fd
from wire.control.control_wire import GossipState, PeerInfo
from wire.crypto_state import PeerState
from wire.start.late_dataclass import dataclass

MAX_MOVES = 20
"""Of a connection's moves, so many are remembered."""


class State(Enum):
    """Where a connection is, as far as the master knows."""

    __hash__ = object.__hash__  # Enum's is Python code, and dictionaries ask for it

    MASTER = "master"
    """The master holds its fds, as a MovingConnection, for the length of one step."""
    GIVEN = "given"
    """`handle_peer` is on its way to gossipd, which has not said `peer_taken`."""
    GOSSIPD = "gossipd"
    RELEASING = "releasing"
    """gossipd has it and was asked to release it."""
    PROGRAM = "program"
    """A service's program has it."""
    CONNECTIOND = "connectiond"
    """connectiond has it, for one or more services of the buses."""
    ENDING = "ending"
    """Its owner was told to disconnect it."""
    GONE = "gone"


class Event(Enum):
    """What moves a connection: control messages, by their names, and the death of an owner."""

    __hash__ = object.__hash__  # Enum's is Python code, and dictionaries ask for it

    PEER_CONNECTED = "peer_connected"
    PEER_TAKEN = "peer_taken"
    HANDLE_PEER = "handle_peer"
    TAKE_PEER = "take_peer"
    TAKE_PEER_FOR_BUS = "take_peer (to connectiond)"
    PEER_NONGOSSIP = "peer_nongossip"
    RELEASE_PEER = "release_peer"
    RELEASE_PEER_REPLY = "release_peer_reply"
    RELEASE_PEER_REPLYFAIL = "release_peer_replyfail"
    PEER_OWNER = "peer_owner"
    PEER_GIVEN_BACK = "peer_given_back"
    DISCONNECT = "disconnect"
    PEER_DISCONNECTED = "peer_disconnected"
    OWNER_DIED = "owner_died"


S, E = State, Event

NEXT: dict[tuple[State, Event], State] = {
    (S.MASTER, E.HANDLE_PEER): S.GIVEN,
    (S.MASTER, E.TAKE_PEER): S.PROGRAM,
    (S.MASTER, E.TAKE_PEER_FOR_BUS): S.CONNECTIOND,
    (S.MASTER, E.PEER_DISCONNECTED): S.GONE,
    (S.GIVEN, E.PEER_TAKEN): S.GOSSIPD,
    (S.GIVEN, E.RELEASE_PEER): S.RELEASING,
    (S.GIVEN, E.DISCONNECT): S.ENDING,
    (S.GIVEN, E.OWNER_DIED): S.GONE,
    (S.GIVEN, E.RELEASE_PEER_REPLYFAIL): S.GIVEN,
    (S.GOSSIPD, E.PEER_NONGOSSIP): S.MASTER,
    (S.GOSSIPD, E.RELEASE_PEER): S.RELEASING,
    (S.GOSSIPD, E.DISCONNECT): S.ENDING,
    (S.GOSSIPD, E.PEER_DISCONNECTED): S.GONE,
    (S.GOSSIPD, E.PEER_GIVEN_BACK): S.MASTER,
    (S.GOSSIPD, E.RELEASE_PEER_REPLYFAIL): S.GOSSIPD,
    (S.GOSSIPD, E.OWNER_DIED): S.GONE,
    (S.RELEASING, E.PEER_TAKEN): S.RELEASING,
    (S.RELEASING, E.RELEASE_PEER_REPLY): S.MASTER,
    (S.RELEASING, E.PEER_NONGOSSIP): S.MASTER,
    (S.RELEASING, E.PEER_DISCONNECTED): S.GONE,
    (S.RELEASING, E.DISCONNECT): S.ENDING,
    (S.RELEASING, E.OWNER_DIED): S.GONE,
    (S.PROGRAM, E.PEER_GIVEN_BACK): S.MASTER,
    (S.PROGRAM, E.DISCONNECT): S.ENDING,
    (S.PROGRAM, E.PEER_DISCONNECTED): S.GONE,
    (S.PROGRAM, E.RELEASE_PEER_REPLYFAIL): S.PROGRAM,
    (S.PROGRAM, E.OWNER_DIED): S.GONE,
    (S.CONNECTIOND, E.PEER_OWNER): S.CONNECTIOND,
    (S.CONNECTIOND, E.PEER_NONGOSSIP): S.MASTER,
    (S.CONNECTIOND, E.PEER_GIVEN_BACK): S.MASTER,
    (S.CONNECTIOND, E.DISCONNECT): S.ENDING,
    (S.CONNECTIOND, E.PEER_DISCONNECTED): S.GONE,
    (S.CONNECTIOND, E.RELEASE_PEER_REPLYFAIL): S.CONNECTIOND,
    (S.CONNECTIOND, E.OWNER_DIED): S.GONE,
    # What was on its way when the owner was told to disconnect: the master then has the connection, and ends it itself.
    (S.ENDING, E.PEER_TAKEN): S.ENDING,
    (S.ENDING, E.PEER_NONGOSSIP): S.MASTER,
    (S.ENDING, E.RELEASE_PEER_REPLY): S.MASTER,
    (S.ENDING, E.RELEASE_PEER_REPLYFAIL): S.ENDING,
    (S.ENDING, E.PEER_OWNER): S.ENDING,
    (S.ENDING, E.PEER_GIVEN_BACK): S.MASTER,
    (S.ENDING, E.DISCONNECT): S.ENDING,
    (S.ENDING, E.PEER_DISCONNECTED): S.GONE,
    (S.ENDING, E.OWNER_DIED): S.GONE,
}
"""(state, message) -> state. A connection begins with `peer_connected` in MASTER, or with `peer_taken` in GOSSIPD."""

BEGIN = {E.PEER_CONNECTED: S.MASTER, E.PEER_TAKEN: S.GOSSIPD}


class IllegalStep(Exception):
    """A control message that cannot come now: our own bug."""


@dataclass(frozen=True, slots=True)
class Move:
    """One change of owner, and the message that made it. `at` in unix seconds."""

    at: float
    owner: str
    message: str


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A connection, for the next program of this process. `state` is a `State`'s value."""

    info: PeerInfo
    state: str
    owner: str
    since: float
    end_wanted: str | None = None
    moves: list[Move] = field(default_factory=list)
    last_error: str | None = None
    told_owner: str = ""


@dataclass(slots=True, eq=False)
class Peer:
    """A connection. `owner` is a daemon's or a service's name."""

    info: PeerInfo
    state: State
    owner: str
    since: float
    end_wanted: str | None = None
    """The reason why it is to end, once that has been asked for."""
    moves: list[Move] = field(default_factory=list)
    """The last ones. A list: an empty deque has 0.6 kB, and most connections move once."""
    last_error: str | None = None
    told_owner: str = ""
    """The owner that others have been told of last: not the master, which has it for no time."""
    is_gone: bool = False
    _gone: asyncio.Event | None = None

    @property
    def gone(self) -> asyncio.Event:
        """To be waited for; made when it is asked for, since it is as large as all else of a Peer."""
        if self._gone is None:
            self._gone = asyncio.Event()
            if self.is_gone:
                self._gone.set()
        return self._gone

    def end(self) -> None:
        """Note that it is gone, and wake who waits for that."""
        self.is_gone = True
        if self._gone is not None:
            self._gone.set()

    def note_move(self, move: Move) -> None:
        """At most MAX_MOVES are remembered."""
        self.moves.append(move)
        if len(self.moves) > MAX_MOVES:
            del self.moves[0]

    def leave(self) -> PeerLeft:
        """For the next program of this process."""
        return PeerLeft(
            self.info,
            self.state.value,
            self.owner,
            self.since,
            self.end_wanted,
            list(self.moves),
            self.last_error,
            self.told_owner,
        )

    def step(self, event: Event, owner: str) -> None:
        """Go on by this message. Raises IllegalStep if it has no row in the table."""
        following = NEXT.get((self.state, event))
        if following is None:
            raise IllegalStep(f"{event.value} for connection {self.info.conn_id}, which is {self.state.value}")
        self.state = following
        if owner != self.owner:
            self.owner = owner
            self.note_move(Move(time.time(), owner, event.value))


@dataclass(slots=True)
class MovingConnection:
    """A connection that the master has taken from one owner and gives to another, in one step: pings wait meanwhile."""

    state: PeerState
    peer_fd: Fd
    gossip_fd: Fd | None
    gossip_state: GossipState | None = None

    def close(self) -> None:
        """End it."""
        os.close(self.peer_fd)
        if self.gossip_fd is not None:
            os.close(self.gossip_fd)


class Peers:
    """All connections that are not gone, by conn_id and by node_id."""

    def __init__(self) -> None:
        self._by_conn_id: dict[int, Peer] = {}
        self._arrivals: dict[int, list[asyncio.Future[Peer | None]]] = {}

    def __iter__(self) -> Iterator[Peer]:
        return iter(list(self._by_conn_id.values()))

    def __len__(self) -> int:
        return len(self._by_conn_id)

    def begin(self, info: PeerInfo, event: Event, owner: str) -> Peer:
        """A new connection, by `peer_connected` or by `peer_taken`."""
        if info.conn_id in self._by_conn_id:
            raise IllegalStep(f"{event.value} for connection {info.conn_id}, which is here already")
        now = time.time()
        peer = Peer(info, BEGIN[event], owner, now)
        peer.note_move(Move(now, owner, event.value))
        self._by_conn_id[info.conn_id] = peer
        for waiter in self._arrivals.pop(info.conn_id, []):
            if not waiter.done():
                waiter.set_result(peer)
        return peer

    def resume(self, left: PeerLeft) -> Peer:
        """A connection of the program before us."""
        peer = Peer(left.info, State(left.state), left.owner, left.since, left.end_wanted)
        peer.moves = list(left.moves)
        peer.last_error, peer.told_owner = left.last_error, left.told_owner
        self._by_conn_id[left.info.conn_id] = peer
        return peer

    def get(self, conn_id: int) -> Peer | None:
        """The connection of that number, if it is not gone."""
        return self._by_conn_id.get(conn_id)

    def of_node(self, node_id: bytes) -> Peer | None:
        """The node's connection: the newest, if an older one is still ending."""
        found = [peer for peer in self._by_conn_id.values() if peer.info.node_id == node_id]
        return max(found, key=lambda peer: peer.info.conn_id, default=None)

    def owned_by(self, owner: str) -> list[Peer]:
        """All connections that this one has."""
        return [peer for peer in self._by_conn_id.values() if peer.owner == owner]

    async def arrival(self, conn_id: int) -> Peer | None:
        """The connection of that number, as soon as the master has heard of it; None if it never will."""
        peer = self._by_conn_id.get(conn_id)
        if peer is not None:
            return peer
        waiter: asyncio.Future[Peer | None] = asyncio.get_running_loop().create_future()
        self._arrivals.setdefault(conn_id, []).append(waiter)
        return await waiter

    def never_comes(self, conn_id: int) -> None:
        """No word about this connection will come: those who wait for it are let go."""
        for waiter in self._arrivals.pop(conn_id, []):
            if not waiter.done():
                waiter.set_result(None)

    def abandon(self) -> None:
        """No word about any connection will come any more: those who wait for one are let go."""
        for waiter in [waiter for waiters in self._arrivals.values() for waiter in waiters if not waiter.done()]:
            waiter.set_result(None)
        for peer in self:
            peer.end()

    def forget(self, peer: Peer) -> None:
        """A connection is gone."""
        del self._by_conn_id[peer.info.conn_id]
        peer.end()
