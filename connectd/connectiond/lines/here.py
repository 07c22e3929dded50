"""The connections whose socket connectiond holds, with all that an owner has to do: pings, gossip, hand-over.

What is neither a ping nor gossip is the hub's. Messages wait here as plaintext until the socket takes them: pongs go
first, then gossip and services' messages by turns. What they say is bounded by their credit, gossip by GossipEnd.
"""

import os
import random
from collections import deque

from connectd.connectiond.lines.gossip_end import GossipEnd
from connectd.connectiond.lines.line import LineEvents
from wire.control.control_message import Fd
from wire.control.control_wire import PeerInfo, PeerStats, TakePeer
from wire.control.limits import Limits
from wire.control.timing import Timing
from wire.cursor import WireError
from wire.frames import PeerState
from wire.message import decode
from wire.net.owned_peers import OwnedPeers
from wire.net.pinger import NO_PONG, Pings, PongHandler
from wire.net.upkeep import Upkeep
from wire.peer_types import ALL_CHANNELS, message_name
from wire.peer_wire import Ping, Pong, WarningMessage
from wire.routing import Action, Routes

ANSWERS_MARK = 16_384
"""Bytes of pongs that wait above which nothing more is taken from the peer: it must read them first."""
PING, PONG = 18, 19
INIT = 16


class BridgedLine:
    """One of them: a `line.Line` for the hub, and a `Speaker` for its socket."""

    def __init__(self, info: PeerInfo, house: "Bridged", gossip_fd: int | None) -> None:
        """Raises OSError if the gossip fd is no socket."""
        self.info = self.peer = info
        self.gossip = GossipEnd(gossip_fd, info.node_id, house.timing.backpressure_pause, self._wants_out, self.go_on)
        self._house = house
        self._own: deque[bytes] = deque()
        self._own_size = 0
        self._said: deque[bytes] = deque()
        self._said_size = 0
        self._paused = False
        self._pings = Pings()

    # for the hub

    def say(self, message: bytes) -> None:
        """See `line.Line`, and so for the next three."""
        self._said.append(message)
        self._said_size += len(message)
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
        self._house.end(self, last_words)

    # what the peer says

    def hear(self, message: bytes) -> bool:
        """Deal with one message; False if the connection is no longer ours after it."""
        number = message[0] << 8 | message[1] if len(message) > 1 else 0
        action = self._house.routes.action(number)
        if action is Action.GOSSIP:
            self.gossip.write(message)
        elif number in (PING, PONG) and action is Action.ANSWER:
            return self._hear_ping(number, message)
        elif number != INIT:
            return self._house.events.heard(self, message)
        return True

    def _hear_ping(self, number: int, message: bytes) -> bool:
        try:
            match decode(message):
                case Ping(num_pong_bytes=wanted) if wanted < NO_PONG:  # B1-37; zeros never hold a secret (B1-38)
                    self._answer(Pong(bytes(wanted)).encode())
                case Pong(ignored=ignored):
                    self._pings.heard(len(message), len(ignored))
        except WireError as error:  # B1-7
            flaw = f"{message_name(number)}: {error}"
            self._house.give_up(self, [WarningMessage(ALL_CHANNELS, flaw.encode()).encode()], flaw)
            return False
        return True

    def ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> None:
        """Say a ping, and call `answered` when its pong has come."""
        self._answer(Ping(num_pong_bytes, bytes(ignored_len)).encode())
        self._pings.said(num_pong_bytes, answered)

    def _answer(self, message: bytes) -> None:
        self._own.append(message)
        self._own_size += len(message)
        self._wants_out()

    @property
    def choked(self) -> bool:
        """Nothing may be heard now."""
        return self._paused or self._own_size > ANSWERS_MARK or self.gossip.is_full

    def go_on(self) -> None:
        """Hear what has been read before, in the next turn: somebody is in the midst of something."""
        self._house.go_on_soon(self)

    # what it is told

    @property
    def waiting(self) -> int:
        """Bytes of messages that wait for the socket, besides gossip."""
        return self._own_size + self._said_size

    @property
    def has_free(self) -> bool:
        """Nothing here has to wait."""
        return self.has_something_to_say

    @property
    def has_something_to_say(self) -> bool:
        """Whether `pull` would give something."""
        return bool(self._own or self._said or self.gossip)

    def pull(self, most: int) -> list[bytes]:
        """What goes next, `most` bytes or a little more; gossip has half of the room when services speak, too."""
        messages = list(self._own)
        self._own.clear()
        most -= self._own_size
        self._own_size = 0
        share = most // 2 if self._said else most
        most -= share - self.gossip.pull(messages, share)
        said, count = self._said, 0
        while said and most > 0:
            message = said.popleft()
            messages.append(message)
            self._said_size -= len(message)
            most -= len(message)
            count += 1
        if count:
            self._house.note_sent(self, count)
        return messages

    def pull_outbox(self) -> list[bytes]:
        """All that waits."""
        messages: list[bytes] = []
        while self.has_something_to_say:
            messages += self.pull(self._own_size + self._said_size * 2 + 65_536)
        return messages

    def leave(self) -> None:
        """The connection leaves: nobody hears the pongs here."""
        self._pings.fail()

    def _wants_out(self) -> None:
        self._house.pump_soon(self)


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

    def __init__(self, routes: Routes, timing: Timing, limits: Limits) -> None:
        super().__init__(lambda: True, self._lost, _NoRations(), timing, limits.read_rate)
        self.routes = routes
        self.timing = timing
        chance = random.Random()  # noqa: S311 - when a peer is pinged is no secret
        self._upkeep = Upkeep[BridgedLine](self, self.give_up, {}, limits.slow_reader, chance.random)
        self._turn_due = False
        self._to_pump: dict[BridgedLine, None] = {}
        self._to_go_on: dict[BridgedLine, None] = {}
        self._sent: dict[BridgedLine, int] = {}

    def begin(self, taken: TakePeer) -> BridgedLine:
        """A connection is here; nothing of it is read before the next turn.

        Raises OSError if an fd is no socket; both are closed then.
        """
        gossip_fd = [] if taken.gossip_fd is None else [taken.gossip_fd]
        try:
            line = BridgedLine(taken.peer, self, taken.gossip_fd)
            gossip_fd.clear()
            self._take_fd(line, taken)
        except OSError:
            for fd in (*gossip_fd, taken.peer_fd):
                os.close(fd)
            raise
        self._upkeep.came(taken.peer.conn_id)
        self.go_on_soon(line)
        return line

    def _take_fd(self, line: BridgedLine, taken: TakePeer) -> None:
        try:
            self.take(line, taken.peer_fd, taken.state)
        except OSError:
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
        gossip_fd = line.gossip.detach()
        fd, state = self.give(line)
        line.leave()
        return state, Fd(fd), None if gossip_fd is None else Fd(gossip_fd)

    def end(self, peer: BridgedLine, last_words: list[bytes]) -> None:
        """Close it, after these messages if they can be said in time."""
        super().end(peer, last_words)
        peer.gossip.close()
        peer.leave()

    def _lost(self, line: BridgedLine, reason: str) -> None:
        self.give_up(line, [], reason)

    def give_up(self, line: BridgedLine, last_words: list[bytes], reason: str) -> None:
        """End it by ourselves, and tell the hub."""
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
        """It has something to say, and perhaps more in a moment."""
        self._to_pump[line] = None
        self._do_soon()

    def go_on_soon(self, line: BridgedLine) -> None:
        """It may be heard again."""
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
        pump, self._to_pump = self._to_pump, {}
        go_on, self._to_go_on = self._to_go_on, {}
        sent, self._sent = self._sent, {}
        for line in pump:
            if self._is_here(line):
                self.pump(line.info.conn_id)
        for line in go_on:
            if self._is_here(line):
                self.go_on(line.info.conn_id)
        for line, count in sent.items():
            if self._is_here(line):
                self.events.sent(line, count)

    def _is_here(self, line: BridgedLine) -> bool:
        return self.find(line.info.conn_id) is line
