"""The connections whose socket connectiond holds, with all that an owner has to do: pings, gossip, hand-over.

What is neither a ping nor gossip is the hub's. Messages wait here as plaintext until the socket takes them: pongs go
first, then gossip and services' messages by turns (`wire.net.duties`). What they say is bounded by their credit.
"""

import os
import random
from collections.abc import Callable

from connectd.connectiond.lines.gossip_end import GossipEnd
from connectd.connectiond.lines.line import LineEvents
from wire.control.control_message import Fd
from wire.control.control_wire import PeerInfo, PeerStats, TakePeer
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.crypto_state import PeerState
from wire.metrics.tally import Tally
from wire.net.duties import Duties, Flaw, Outbox
from wire.net.gossip_queue import GossipQueue
from wire.net.owned_peers import OwnedPeers
from wire.net.pinger import PongHandler
from wire.net.upkeep import Upkeep
from wire.routing import Deed, Routes

_FOR_SERVICES = (Deed.TAKE, Deed.COPY)
"""At once: nothing in these is looked at here. So is TROUBLE, if it can be read."""


class BridgedLine:
    """One of them: a `line.Line` for the hub, and a `Speaker` for its socket."""

    def __init__(self, info: PeerInfo, bridged: "Bridged", gossip_fd: int | None, left_over: list[bytes]) -> None:
        """Raises OSError if the gossip fd is no socket."""
        self.info = self.peer = info
        queue = GossipQueue(bridged.timing.backpressure_pause, left_over)
        self.outbox = Outbox(queue)
        self.gossip = GossipEnd(gossip_fd, info, queue, self._wants_out, self.go_on)
        self.duties = Duties()
        self._bridged = bridged
        self._paused = False

    # for the hub

    def say(self, message: bytes) -> None:
        """See `line.Line`, and so for the next three."""
        self.outbox.say(message)
        self._wants_out()

    def pause(self) -> None:
        """Hear nothing."""
        self._paused = True

    def resume(self) -> None:
        """Hear on."""
        self._paused = False
        self.go_on()

    def end(self, reason: str, last_words: list[bytes]) -> None:
        """Close."""
        self._bridged.end(self, last_words)

    # what the peer says

    def hear(self, message: bytes) -> bool:
        """Deal with one message; False if the connection is no longer ours after it."""
        bridged = self._bridged
        bridged.tally.heard(message)
        if len(message) > 1 and bridged.routes.deed(message[0] << 8 | message[1]) in _FOR_SERVICES:
            return bridged.events.heard(self, message)
        try:
            deed, message = self.duties.hear(message, bridged.routes)
        except Flaw as flaw:
            bridged.give_up(self, flaw.last_words, str(flaw))
            return False
        match deed:
            case Deed.SAY:
                self._answer(message)
            case Deed.GOSSIP:
                self.gossip.write(message)
            case Deed.TROUBLE:
                return bridged.events.heard(self, message)
        return True

    def ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> None:
        """Say a ping, and call `answered` when its pong has come."""
        self._answer(self.duties.ping(num_pong_bytes, ignored_len, answered))

    def _answer(self, message: bytes) -> None:
        self.outbox.answer(message)
        self._wants_out()

    @property
    def choked(self) -> bool:
        """Nothing may be heard now."""
        return self._paused or self.outbox.choked

    def go_on(self) -> None:
        """Hear what has been read before, in the next turn: the caller is in the midst of something."""
        self._bridged.go_on_soon(self)

    # what it is told

    @property
    def has_free(self) -> bool:
        """Nothing here has to wait."""
        return bool(self.outbox)

    @property
    def has_something_to_say(self) -> bool:
        """Whether `pull` would give something."""
        return bool(self.outbox)

    def pull(self, most: int) -> list[bytes]:
        """What goes next, `most` bytes or a little more."""
        return self._pulled(*self.outbox.pull(most))

    def pull_outbox(self) -> list[bytes]:
        """All that waits."""
        return self._pulled(*self.outbox.pull_all())

    def _pulled(self, messages: list[bytes], said: int) -> list[bytes]:
        self.gossip.pulled()
        self._bridged.tally.said(messages)
        if said:
            self._bridged.note_sent(self, said)
        return messages

    def _wants_out(self) -> None:
        self._bridged.pump_soon(self)


class _NoRations:
    """Everything may be said at once."""

    def pull(self, conn_id: int, peer: BridgedLine, most: int, now: float) -> list[bytes]:
        """What goes next."""
        return peer.pull(most)

    def wait(self, conn_id: int, now: float) -> float:
        """Never."""
        return 0.0


class Bridged(OwnedPeers[BridgedLine]):
    """All of them. `events` is set before the first one comes."""

    events: LineEvents

    def __init__(
        self, routes: Routes, timing: Timing, limits: Limits, may_read: Callable[[], bool] = lambda: True
    ) -> None:
        """`may_read`: whether there is room for what peers say."""
        super().__init__(may_read, self._lost, _NoRations(), timing, limits.read_rate, Tally())
        self.stamp_reads(wanted=True)  # for the next owner of what is not heard here
        self.routes = routes
        self.timing = timing
        chance = random.Random()  # noqa: S311 - when a peer is pinged is no secret
        self._upkeep = Upkeep[BridgedLine](self, self.give_up, {}, limits.slow_reader, chance.random)
        self._turn_due = False
        self._to_pump: dict[BridgedLine, None] = {}
        self._to_go_on: dict[BridgedLine, None] = {}
        self._sent: dict[BridgedLine, int] = {}

    def change_limits(self, limits: Limits) -> None:
        """From now on."""
        self.change_read_rate(limits.read_rate)
        self._upkeep.slow_reader = limits.slow_reader

    def begin(self, taken: TakePeer) -> BridgedLine:
        """A connection is here; nothing of it is read before the next turn.

        Raises OSError if an fd is no socket, ValueError for a flawed state; both fds are closed then.
        """
        gossip_fd = [] if taken.gossip_fd is None else [taken.gossip_fd]
        try:
            line = BridgedLine(taken.peer, self, taken.gossip_fd, taken.state.gossip)
            gossip_fd.clear()
            self._take_fd(line, taken)
        except (OSError, ValueError):
            for fd in (*gossip_fd, taken.peer_fd):
                os.close(fd)
            raise
        self._upkeep.came(taken.peer.conn_id)
        self.go_on_soon(line)
        return line

    def _take_fd(self, line: BridgedLine, taken: TakePeer) -> None:
        try:
            self.take(line, taken.peer_fd, taken.state)
        except (OSError, ValueError):
            line.gossip.close()
            raise

    def find(self, conn_id: int) -> BridgedLine | None:
        """The connection, if it is here."""
        return self.owned_peer(conn_id).peer if self.owns(conn_id) else None

    def stats(self) -> list[PeerStats]:
        """How each connection does."""
        return self._upkeep.stats()

    # the end

    def hand_over(self, line: BridgedLine) -> tuple[PeerState, Fd, Fd | None]:
        """The connection is no longer ours: its state, its fd, and its gossip fd unless gossipd is gone."""
        gossip_fd, left_over = line.gossip.detach()
        fd, state = self.give(line)
        state.gossip = left_over
        line.duties.leave()
        return state, Fd(fd), None if gossip_fd is None else Fd(gossip_fd)

    def move(self, line: BridgedLine) -> tuple[PeerState, Fd, Fd | None, list[bytes]]:
        """The same for another process of our kind, and what services have said that waits: not in the state."""
        said = line.outbox.take_said()
        return *self.hand_over(line), said

    def tell_sent(self) -> None:
        """Tell the hub now of all that has been encrypted."""
        sent, self._sent = self._sent, {}
        for line, count in sent.items():
            if self._is_here(line):
                self.events.sent(line, count)

    def end(self, peer: BridgedLine, last_words: list[bytes]) -> None:
        """Close it, after these messages if they can be said in time."""
        super().end(peer, last_words)
        peer.gossip.close()
        peer.duties.leave()

    def _lost(self, line: BridgedLine, reason: str) -> None:
        self.give_up(line, [], reason)

    def give_up(self, line: BridgedLine, last_words: list[bytes], reason: str) -> None:
        """End it by ourselves, and tell the hub."""
        self.tally.ended(reason)
        self.end(line, last_words)
        self.events.ended(line, reason)

    def close(self) -> None:
        """The end of everything."""
        self._upkeep.close()
        for line in self.peers():
            line.gossip.close()
        self.close_sockets()

    # what is done soon

    def pump_soon(self, line: BridgedLine) -> None:
        """Something is to be said, and perhaps more in a moment."""
        self._to_pump[line] = None
        self._do_soon()

    def go_on_soon(self, line: BridgedLine) -> None:
        """The peer may be heard again."""
        self._to_go_on[line] = None
        self._do_soon()

    def note_sent(self, line: BridgedLine, count: int) -> None:
        """So many messages have been encrypted."""
        self._sent[line] = self._sent.get(line, 0) + count
        self._do_soon()

    def _do_soon(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._turn_due = False
        self.tell_sent()
        pump, self._to_pump = self._to_pump, {}
        go_on, self._to_go_on = self._to_go_on, {}
        for line in pump:
            if self._is_here(line):
                self.pump(line.info.conn_id)
        for line in go_on:
            if self._is_here(line):
                self.go_on(line.info.conn_id)

    def _is_here(self, line: BridgedLine) -> bool:
        return self.find(line.info.conn_id) is line
