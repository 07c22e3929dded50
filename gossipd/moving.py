"""One gossipd moves all that it has to the next one, over a socket between the two, and no peer notices.

The old one stops reading and lets the store go; the new one opens it, and takes each connection, which it does not
touch before `move_done`. Until then the old one has all of it still, with copies of the fds: if the new one fails it
goes on as if nothing had been. After that it has nothing. So no connection ever has two owners, and none has no owner.

What is on its way through the pipeline moves as messages, what is owed as what it is about.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING

from gossipd.ask import moving as asking
from gossipd.ask.moving import MovedSeeker
from gossipd.gossipd import Gossipd
from gossipd.peers.standing import MovedStanding
from gossipd.store.writer import StoreError
from gossipd.verdict import PeerFault
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    GossipState,
    MoveDone,
    MovePeer,
    MovePeerReply,
    MovePeerReplyfail,
    MoveRest,
    MoveRestReply,
    MoveRestReplyfail,
    OpenStore,
    OpenStoreReply,
    OpenStoreReplyfail,
    PeerInfo,
)
from wire.control.daemon import inherited_socket
from wire.control.status import Status
from wire.crypto_state import PeerState
from wire.net.moving import FAILURES, MOVE_TIME, Held, MoveFailed, close_channel, give, reason_of, soon, successor_at
from wire.net.states import StateError, dump, load
from wire.start.late_dataclass import dataclass

if TYPE_CHECKING:
    from gossipd.peers.peer import Peer

VERSION = 1
"""Of `MovedPeer` and `MovedRest`. A field more needs no new one: it has a default."""
DRAIN = 2.0
"""Seconds for what is in the pipeline and on the link to arrive: what is left is checked by the next one."""

status = Status("gossipd")


@dataclass(frozen=True, slots=True)
class MovedPeer:
    """A peer. `state` is its connection's, None if that has another owner, which has begun to read if `started`."""

    info: PeerInfo
    state: PeerState | None = None
    gossip: GossipState = field(default_factory=GossipState)
    send: list[bytes] = field(default_factory=list)
    """What it is to be told first."""
    started: bool = False
    standing: MovedStanding = field(default_factory=MovedStanding)
    novel: int = 0
    known: list[int] = field(default_factory=list)
    """What it said itself and need not be told: offsets in the store, behind the records."""
    live: bool = False
    """Its first sync is over."""


@dataclass(frozen=True, slots=True)
class MovedRest:
    """What is of no single connection."""

    seeker: MovedSeeker = field(default_factory=MovedSeeker)
    messages: list[tuple[bytes, int]] = field(default_factory=list)
    """Gossip on its way through the pipeline, and whose it is."""
    owed_nodes: list[bytes] = field(default_factory=list)
    feed_counts: list[tuple[str, int]] = field(default_factory=list)


def message_of(held: Held[MovedPeer]) -> MovePeer:
    """For the next one: its fds are the peer's and the gossip fd. Raises OSError if there are no fds for copies."""
    return MovePeer(dump(held.moved, VERSION), *held.copies())


class Move:
    """From the old one's side. `run` returns how many connections of its own and of others have moved."""

    def __init__(self, gossipd: Gossipd, successor_fd: Fd, link_ended: Callable[[], bool]) -> None:
        """`link_ended`: connectd speaks to the next one already, and all that it has said here was heard."""
        self._gossipd = gossipd
        self._successor = successor_at(successor_fd)
        self._link_ended = link_ended
        self._held: list[Held[MovedPeer]] = []
        self._rest: MovedRest | None = None

    async def run(self, before_the_end: Callable[[], None]) -> tuple[int, int]:
        """`before_the_end` is called when nothing can fail any more. Raises MoveFailed, and then we go on."""
        gossipd = self._gossipd
        hold(gossipd)
        try:
            async with asyncio.timeout(MOVE_TIME):
                await self._drain()
                gossipd.keeper.pause()
                gossipd.gossip_v2.close()
                await self._successor.request(OpenStore(), OpenStoreReply)
                self._rest = _take_apart(gossipd, self._held)
                await self._move(self._rest)
        except FAILURES as error:
            reason = reason_of(error)
            self._go_on(reason)
            raise MoveFailed(reason) from error
        before_the_end()
        self._successor.send(MoveDone())
        owned = sum(held.moved.state is not None for held in self._held)
        for held in self._held:
            held.close()
        return owned, len(self._held) - owned

    async def _drain(self) -> None:
        """What was said before is in the store, or waits for the chain."""
        ingest = self._gossipd.ingest
        await soon(lambda: self._link_ended() and not ingest.checks.waiting, DRAIN)
        ingest.write_lonely(0.0)

    async def _move(self, rest: MovedRest) -> None:
        await give(self._successor, self._held, message_of, MovePeerReply)
        reply = await self._successor.request(MoveRest(dump(rest, VERSION)), MoveRestReply)
        if reply.peers != len(self._held):
            raise ChannelClosed(f"it says that it has {reply.peers} connections of {len(self._held)}")

    async def close(self, also: Callable[[], bool]) -> None:
        """When all has been said to the next one, and `also`."""
        await soon(lambda: not self._successor.queued and also(), DRAIN)
        close_channel(self._successor)

    def _go_on(self, reason: str) -> None:
        """As if nothing had been."""
        status.unusual(f"the next gossipd cannot take our place, and we go on: {reason}")
        close_channel(self._successor)
        gossipd = self._gossipd
        gossipd.keeper.resume()
        for held in self._held:
            put_together(gossipd, held.moved, *held.fds)
        if self._rest is not None:
            put_rest(gossipd, self._rest)
        go_on(gossipd)


class Successor:
    """From the next one's side: it has all, untouched, until `move_done`."""

    def __init__(
        self,
        predecessor_fd: Fd,
        open_store: Callable[[], Gossipd],
        begin: Callable[[Callable[[], None]], None],
        given_up: Callable[[], None],
    ) -> None:
        """`open_store` raises StoreError or OSError. `begin` is called when all is here, with what puts it together;
        `given_up` if the old one goes on.
        """
        self._open_store = open_store
        self._begin = begin
        self._given_up = given_up
        self._gossipd: Gossipd | None = None
        self._held: list[Held[MovedPeer]] = []
        self._rest = MovedRest()
        sock = inherited_socket(str(predecessor_fd))
        self._channel = ControlChannel(sock, "predecessor", self._hear, lambda reason: given_up())

    def _hear(self, message: ControlMessage) -> None:
        match message:
            case OpenStore():
                self._open(message)
            case MovePeer():
                self._take(message)
            case MoveRest():
                self._take_rest(message)
            case MoveDone() if self._gossipd is not None:
                self._channel.close()
                self._begin(self._put_together)
            case _:
                self._channel.refuse(message)

    def _open(self, message: OpenStore) -> None:
        try:
            self._gossipd = self._open_store()
        except StoreError as error:
            self._channel.reply(message, OpenStoreReplyfail(str(error)))
        except OSError as error:
            self._channel.reply(message, OpenStoreReplyfail(error.strerror or str(error)))
        else:
            self._gossipd.held = True
            self._channel.reply(message, OpenStoreReply())

    def _take(self, message: MovePeer) -> None:
        try:
            moved = load(MovedPeer, message.state, VERSION)
        except StateError as error:
            message.close_fds()
            self._channel.reply(message, MovePeerReplyfail(str(error)))
            return
        self._held.append(Held(moved, (message.peer_fd, message.gossip_fd)))
        self._channel.reply(message, MovePeerReply())

    def _take_rest(self, message: MoveRest) -> None:
        try:
            self._rest = load(MovedRest, message.state, VERSION)
        except StateError as error:
            self._channel.reply(message, MoveRestReplyfail(str(error)))
            return
        self._channel.reply(message, MoveRestReply(len(self._held)))

    def _put_together(self) -> None:
        gossipd = self._gossipd
        assert gossipd is not None
        for held in self._held:
            put_together(gossipd, held.moved, *held.fds)
        put_rest(gossipd, self._rest)
        go_on(gossipd)

    def close(self) -> None:
        """The end of this process, whatever has come."""
        close_channel(self._channel)


def hold(gossipd: Gossipd) -> None:
    """Read and do nothing from now on."""
    gossipd.held = True
    for peer in gossipd.owned.peers():
        gossipd.owned.update_receiving(peer.info.conn_id)
    gossipd.remotes.update_reading()


def go_on(gossipd: Gossipd) -> None:
    """The end of `hold`."""
    gossipd.held = False
    gossipd.resume()


def _take_apart(gossipd: Gossipd, held: list[Held[MovedPeer]]) -> MovedRest:
    """All that it has, in `held` and in what is returned; it has no peers any more."""
    peers, seeker, ingest = list(gossipd.peers.values()), gossipd.seeker, gossipd.ingest
    for peer in peers:
        peer.asked = seeker.filter_of(peer.info.conn_id)
    for scid, flags, source in ingest.conflicts.contests.wanted():
        seeker.owe(scid, flags, source or None)
    rest = MovedRest(
        asking.leave(seeker),
        [*ingest.pending.messages(), *ingest.nodes.waiting.messages()],
        sorted(ingest.checks.debt.nodes),
        gossipd.feed.counts(),
    )
    for peer in peers:
        held.append(_take_one(gossipd, peer))
    return rest


def _take_one(gossipd: Gossipd, peer: "Peer") -> Held[MovedPeer]:
    conn_id = peer.info.conn_id
    novel, standing = gossipd.novel.get(conn_id, 0), peer.standing.leave(gossipd.clock())
    known = peer.stream.leave(gossipd.store) if peer.stream is not None else []
    live = gossipd.phases.is_live(conn_id)
    send, gossip = peer.break_off()
    state, peer_fd, gossip_fd, started = None, None, None, False
    if gossipd.owned.owns(conn_id):
        peer_fd, state = gossipd.owned.give(peer)
    else:
        gossip_fd, started, unwritten = gossipd.remotes.detach(conn_id)
        send = unwritten + send
    gossipd.drop(peer)
    return Held(MovedPeer(peer.info, state, gossip, send, started, standing, novel, known, live), (peer_fd, gossip_fd))


def put_together(gossipd: Gossipd, moved: MovedPeer, peer_fd: int | None, gossip_fd: int | None) -> None:
    """A peer is here again: the fds are its from here on."""
    peer, info = gossipd.admit(moved.info), moved.info
    peer.standing.go_on(moved.standing, gossipd.clock())
    peer.restore(moved.gossip)
    if peer.stream is not None and peer.stream.offset == moved.gossip.store_offset:
        peer.stream.go_on(gossipd.store, moved.known)
    for message in moved.send:
        peer.say(message)
    gossipd.novel[info.conn_id] = moved.novel
    if moved.live:
        gossipd.phases.end(info.conn_id)
    if gossip_fd is not None:
        gossipd.remotes.adopt(peer, gossip_fd, started=moved.started)
    elif peer_fd is not None and moved.state is not None:
        gossipd.owned.take(peer, peer_fd, moved.state)
        gossipd.begin_with(peer)
    if peer.standing.is_ignored(gossipd.clock()):
        gossipd.judge.go_on(peer)
    else:
        gossipd.ask_for_gossip(peer)


def put_rest(gossipd: Gossipd, rest: MovedRest) -> None:
    """What is of no single peer, after all peers."""
    asking.go_on(gossipd.seeker, rest.seeker)
    for node_id in rest.owed_nodes:
        gossipd.ingest.checks.debt.note_node(node_id, None)
    gossipd.feed.go_on(rest.feed_counts)
    for message, source in rest.messages:
        with contextlib.suppress(PeerFault):  # its sender was told when it came
            gossipd.ingest.receive(message, source)
