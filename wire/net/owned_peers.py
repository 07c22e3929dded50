"""The connections that a process owns: their sockets and frames. What is said on them is each Speaker's business.

Ciphertext is made only when the socket takes it, PULL bytes at a time; what waits is plaintext and cursors in the
Speaker. Decryption is lazy: after a message that gives the connection away nothing more has been decrypted.

Peers are heard, and told what is more than a word, a piece at a time and in turns that their sources share (turns.py).
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Generic

from wire.control.timing import Timing
from wire.crypto_state import PeerState
from wire.frames import FrameError, Frames
from wire.metrics.tally import Tally
from wire.net.moving_state import flaw_of_state
from wire.net.onion_rates import ONION_MESSAGE, OnionRate
from wire.net.owned_peer import OwnedPeer, Rations, S
from wire.net.seldom_copies import SeldomCopies
from wire.net.sockman.sockman import SockMan
from wire.net.turns import MESSAGE_COST, QUANTUM, FairTurns

PULL = 32_768
"""Bytes that are encrypted at a time."""
ALONE = 2
"""Such pieces that one connection may be sent besides, while no other waits."""
FAREWELL = 5.0
"""Seconds that a last warning has to leave."""


class OwnedPeers(SockMan, Generic[S]):
    """SockMan over the peers that this process owns; a connection's id is its conn_id."""

    def __init__(
        self,
        may_read: Callable[[], bool],
        lost: Callable[[S, str], None],
        rations: Rations[S],
        timing: Timing,
        read_rate: int,
        tally: Tally,
    ) -> None:
        """`may_read`: whether there is room for what peers say. `lost`: the connection has ended, and why.
        `read_rate`: bytes a second from each peer, 0 for no limit. `tally` counts bytes, pings and ends here.
        """
        super().__init__()
        self.turns = FairTurns(self._loop)
        """Whose turn it is; for all that strangers cause in this process."""
        self.tally = tally
        self._timing = timing
        self.change_read_rate(read_rate)
        self._may_read = may_read
        self._lost = lost
        self._rations = rations
        self.clock = self._loop.time
        self._owned: dict[int, OwnedPeer[S]] = {}
        self._held: set[int] = set()
        self._throttled: set[int] = set()
        self._unsent: set[int] = set()
        """Those that may not take what is sent to them."""
        self._later: set[int] = set()
        """Those that have used their budget up."""
        self.seldom = SeldomCopies()
        self.on_copy: Callable[[S, bytes], None] = lambda peer, message: None
        """Gets each message of which a copy goes up later than it came."""

    def __len__(self) -> int:
        return len(self._owned)

    def owns(self, conn_id: int) -> bool:
        """Whether this connection is here."""
        return conn_id in self._owned

    def peers(self) -> list[S]:
        """All whose connection is here."""
        return [line.peer for line in self._owned.values()]

    def owned_peer(self, conn_id: int) -> OwnedPeer[S]:
        """All about one connection that is here."""
        return self._owned[conn_id]

    def take(self, peer: S, fd: int, state: PeerState) -> None:
        """The connection is ours, with what was read and not decrypted and what was encrypted and not sent.

        Raises OSError if the fd is no socket, ValueError for a flawed state: the fd is still the caller's then.
        """
        if flaw := flaw_of_state(state):
            raise ValueError(flaw)
        self.adopt(fd, state.unsent, peer.info.conn_id)
        frames = Frames(state.crypto, state.unread, state.traffic)
        line = self._owned[peer.info.conn_id] = OwnedPeer(peer, frames, self.clock(), self._timing)
        line.unheard = bool(state.unread)  # until `go_on`
        if self.stamps_reads:  # a last owner that has not looked, or whose clock is ahead
            now = time.time_ns()
            line.read_at_ns = min(state.read_at_ns or now, now)
        if state.unsent:
            self._unsent.add(peer.info.conn_id)

    def go_on(self, conn_id: int) -> None:
        """Deal with what was read before, in its turn: of a new connection, or when the peer has taken its answers."""
        if conn_id in self._owned:
            self._owned[conn_id].unheard = True
            self._in_turn(self._owned[conn_id])

    def give(self, peer: S) -> tuple[int, PeerState]:
        """The connection is no longer ours: its fd and all that moves with it. The outbox goes as ciphertext, so that
        its new owner need not know of it."""
        fd, unsent = self.release(peer.info.conn_id)
        line = self._forget(peer)
        frames = line.frames
        batch = bytearray(unsent)
        for message in peer.pull_outbox():
            frames.encrypt_into(batch, message)
        self.tally.bytes_out += len(batch) - len(unsent)
        state = frames.export(bytes(batch))
        state.read_at_ns = line.read_at_ns if state.unread else 0
        return fd, state

    def end(self, peer: S, last_words: list[bytes]) -> None:
        """Say this, if it can be said in time, and close."""
        conn_id = peer.info.conn_id
        frames = self._forget(peer).frames
        batch = bytearray()
        for message in [*peer.pull_outbox(), *last_words]:
            frames.encrypt_into(batch, message)
        self.tally.bytes_out += len(batch)
        self.send_bytes(conn_id, batch)
        self.close_when_sent(conn_id, FAREWELL)

    def _forget(self, peer: S) -> OwnedPeer[S]:
        for message in self.seldom.leave(peer.info.conn_id):
            self.on_copy(peer, message)
        for some in (self._held, self._throttled, self._unsent, self._later):
            some.discard(peer.info.conn_id)
        return self._owned.pop(peer.info.conn_id)

    def close_sockets(self) -> None:
        """The end: what the loop has still to call in this turn finds no connection."""
        self._owned.clear()
        for some in (self._held, self._throttled, self._unsent, self._later):
            some.clear()
        super().close_sockets()

    def pump(self, conn_id: int) -> None:
        """Send what the peer is to be told, as much as the socket takes now; goes on by itself."""
        line = self._owned[conn_id]
        peer = line.peer
        if not self.unsent_size(conn_id):
            was_choked = peer.choked
            self._send_batch(line)
            if was_choked and not peer.choked:
                self.go_on(conn_id)
        if not peer.has_something_to_say:
            return
        wait = 0.0 if peer.has_free else self._rations.wait(conn_id, self._loop.time())
        if not wait:
            self._unsent.add(conn_id)  # the socket may be full just where a batch ends
            self.want_to_send(conn_id)
        elif conn_id not in self._later:
            self._later.add(conn_id)
            self._loop.call_later(wait, self._pump_later, conn_id)

    def say_now(self, peer: S) -> None:
        """What a peer that has just come is to be told first, if it is a few words; all else goes in its turn."""
        conn_id = peer.info.conn_id
        if peer.has_free and self.takes(conn_id):
            self._send_free(self._owned[conn_id])

    def has_to_do(self, peer: S) -> bool:
        """Whether it has said something that was not heard, or is to be told something."""
        return self._owned[peer.info.conn_id].unheard or peer.has_something_to_say

    def pump_in_turn(self, conn_id: int) -> None:
        """The same in its turn, for a caller that may be in the midst of hearing the peer."""
        line = self._owned[conn_id]
        if line.peer.has_free:
            self._in_turn(line)
        else:
            self._in_bulk_turn(line)

    def _pump_later(self, conn_id: int) -> None:
        if conn_id in self._later:
            self._later.remove(conn_id)
            self._in_bulk_turn(self._owned[conn_id])

    def _send_batch(self, line: OwnedPeer[S]) -> bool:
        """Whether there was anything that may be said now."""
        batch, peer, frames = bytearray(), line.peer, line.frames
        conn_id, now = peer.info.conn_id, self._loop.time()
        while len(batch) < PULL:
            messages = self._rations.pull(conn_id, peer, PULL - len(batch), now)
            if not messages:
                break
            frames.encrypt_all_into(batch, messages)
        if batch:
            self._send_of(line, batch)
        return bool(batch)

    def _send_free(self, line: OwnedPeer[S]) -> None:
        """A batch of what does not count; there is some."""
        batch, conn_id = bytearray(), line.peer.info.conn_id
        line.frames.encrypt_all_into(batch, self._rations.pull(conn_id, line.peer, PULL, self.clock()))
        if batch:
            self._send_of(line, batch)

    def _send_of(self, line: OwnedPeer[S], batch: bytearray) -> None:
        conn_id = line.peer.info.conn_id
        line.batches += 1
        self.tally.bytes_out += len(batch)
        if self.send_bytes(conn_id, batch):
            self._unsent.add(conn_id)

    def rest(self, conn_id: int) -> None:
        """Let the cipher objects of a connection go that has nothing to do: most of an idle peer's memory."""
        self._owned[conn_id].frames.sleep()

    def resume(self) -> None:
        """There is room again."""
        while self._held and self._may_read():
            conn_id = self._held.pop()
            if conn_id in self._owned:
                self.update_receiving(conn_id)

    # copies

    def may_copy(self, conn_id: int, message: bytes) -> bool:
        """Whether a copy of what a peer has just said goes up now; else it is one onion message too many, or `on_copy`
        may get it later.
        """
        line = self._owned[conn_id]
        if message[0] << 8 | message[1] == ONION_MESSAGE:
            return self._passes_onion(line, len(message))
        return self.seldom.hear(conn_id, line.source, message, self.clock(), room=self._may_read())

    def _passes_onion(self, line: OwnedPeer[S], size: int) -> bool:
        line.onions = line.onions or OnionRate()
        passes = line.onions.take(size, self.clock())
        self.tally.onions_dropped += not passes
        return passes

    def copy_due(self, now: float) -> None:
        """Have those go up that have waited long enough, if there is room."""
        for conn_id, message in self.seldom.due(now) if len(self.seldom) and self._may_read() else ():
            self.on_copy(self._owned[conn_id].peer, message)

    # as time goes by

    def reads(self, conn_id: int) -> bool:
        """Whether what the peer says would be heard now."""
        line = self._owned[conn_id]
        return not (conn_id in self._held or conn_id in self._throttled or line.peer.choked or line.unheard)

    def charge(self, conn_id: int, share: float) -> None:
        """What the peer has just said costs this share of what it may say in a second."""
        if (line := self._owned.get(conn_id)) is not None:
            line.read += int(share * self._read_rate)
            if line.read > self._read_rate:
                self._throttled.add(conn_id)

    def read_on(self, now: float) -> None:
        """Those that were read enough of for one second are read again in the next."""
        over = [conn_id for conn_id in self._throttled if now - self._owned[conn_id].read_since >= 1.0]
        self._throttled.difference_update(over)
        for conn_id in over:
            self.update_receiving(conn_id)

    def slow_readers(self, now: float, limit: float) -> list[S]:
        """Peers that have taken nothing for `limit` seconds of what waits for them, three times that through Tor."""
        slow = []
        for conn_id in list(self._unsent):
            line, size = self._owned[conn_id], self.unsent_size(conn_id)
            mark = None
            if not size and (conn_id in self._later or not line.peer.has_something_to_say):
                self._unsent.discard(conn_id)
            else:
                mark = (size, line.batches)
            if line.slow.look(now, mark, limit * line.patience):
                slow.append(line.peer)
        return slow

    def change_read_rate(self, read_rate: int) -> None:
        """Bytes a second from each peer from now on, 0 for no limit."""
        self._read_rate = read_rate or sys.maxsize

    # events

    def event_got_data(self, id: int, data: bytes) -> None:
        line = self._owned[id]
        now = line.pinger.heard_at = self.clock()
        if now - line.read_since >= 1.0:
            line.read_since, line.read = now, 0
        line.read += len(data)
        self.tally.bytes_in += len(data)
        if line.read > self._read_rate:
            self._throttled.add(id)
        line.read_at_ns = self.read_at_ns
        line.frames.feed(data)
        line.unheard = True
        self._in_turn(line)

    def _in_turn(self, line: OwnedPeer[S]) -> None:
        if not line.in_turns:
            line.in_turns = True
            self.turns.add(line.source, partial(self._serve, line))

    def _in_bulk_turn(self, line: OwnedPeer[S]) -> None:
        if not line.in_bulk:
            line.in_bulk = True
            self.turns.add(line.source, partial(self._serve_bulk, line), bulk=True)

    def _serve(self, line: OwnedPeer[S]) -> None:
        """A piece of what a connection has said, and the few words that come of it: all else that it is to be told has
        a turn in bulk."""
        line.in_turns = False
        peer, conn_id = line.peer, line.peer.info.conn_id
        if self._owned.get(conn_id) is not line:
            return
        if line.unheard and not peer.choked and not self._hear(line):
            return
        was_choked = peer.choked
        if peer.has_free and self.takes(conn_id):
            self._send_free(line)
        if peer.has_something_to_say:
            self._in_bulk_turn(line)
        self._hear_on(line, was_choked)

    def _hear_on(self, line: OwnedPeer[S], was_choked: bool) -> None:
        """In its next turn, if there may be more: also when the peer has taken answers that were in the way."""
        line.unheard |= was_choked and not line.peer.choked
        if line.unheard and not line.peer.choked:
            self._in_turn(line)

    def _serve_bulk(self, line: OwnedPeer[S]) -> None:
        """A piece of what a connection is to be told."""
        line.in_bulk = False
        conn_id, was_choked = line.peer.info.conn_id, line.peer.choked
        if self._owned.get(conn_id) is line and line.peer.has_something_to_say:
            self._pump_alone(line)
            self.pump(conn_id)
            self._hear_on(line, was_choked)

    def _pump_alone(self, line: OwnedPeer[S]) -> None:
        """Send some batches at once while no other waits; few, for what the kernel holds is in the way of a pong."""
        conn_id = line.peer.info.conn_id
        for _ in range(ALONE):
            may = self.takes(conn_id) and line.peer.has_something_to_say and self.turns.may_go_on()
            if not may or not self._send_batch(line):
                return

    def _hear(self, line: OwnedPeer[S]) -> bool:
        """Hear a quantum, or more if no other waits; False if the connection is no longer ours after it."""
        peer, room = line.peer, QUANTUM
        try:
            for message in line.frames.feed(b""):
                if not peer.hear(message):
                    return False
                room -= len(message) + MESSAGE_COST
                if peer.choked:
                    return True
                if room <= 0:
                    if not self.turns.may_go_on():
                        return True
                    room = QUANTUM
        except FrameError as error:
            self._lost(peer, str(error))
            return False
        line.unheard = False
        self.update_receiving(peer.info.conn_id)
        return True

    def event_got_eof(self, id: int) -> None:
        self._lost(self._owned[id].peer, "the peer has closed the connection")

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        self._lost(self._owned[id].peer, error.strerror or str(error))

    def event_ready_to_send(self, id: int) -> bool:
        self._in_bulk_turn(self._owned[id])
        return False

    def is_behind(self, id: int) -> bool:
        return self._owned[id].unheard and not self._owned[id].peer.choked

    def should_try_to_recv(self, id: int) -> bool:
        if not self._may_read():
            self._held.add(id)
            return False
        if id not in self._owned:
            return True
        line = self._owned[id]
        return id not in self._throttled and not line.peer.choked and not line.unheard
