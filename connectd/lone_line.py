"""The one connection of a process or thread: its socket, its frames, and an owner's duties, which are pings.

What waits to be sent is plaintext; ciphertext is made only when the socket takes it, PULL bytes at a time. Decryption
is lazy: while the line is paused nothing more is decrypted, and soon nothing more is read.
"""

import random
from collections import deque

from connectd.line import LineEvents
from wire.control_wire import PeerInfo, TakePeer
from wire.cursor import WireError
from wire.frames import MAX_PACKET, FrameError, Frames
from wire.message import decode
from wire.peer_wire import ALL_CHANNELS, Ping, Pong, WarningMessage
from wire.pinger import NO_PONG, PONG_BYTES, Pinger, Pings, Verdict, patience_for
from wire.sockman import SockMan
from wire.status import Status

PULL = 32_768
"""Bytes that are encrypted at a time."""
PONGS_MARK = 16_384
"""Bytes of pongs that wait above which nothing more is heard: the peer must read them first."""
FAREWELL = 5.0
"""Seconds that last words have to leave."""
SLOW_READER = 30.0
"""Seconds in which a peer must take some of what waits for it."""
_PING, _PONG = b"\0\x12", b"\0\x13"
_FRAME = 34
"""What a frame has besides its message."""

status = Status("connectiond")


class LoneLine(SockMan):
    """A Line. To be made on the running loop; it begins with `resume`."""

    def __init__(self, taken: TakePeer, events: LineEvents) -> None:
        """Raises OSError if the fd is no socket, ValueError if the state is none."""
        super().__init__()
        self._info = taken.peer
        self._events = events
        state = taken.state
        self._frames = Frames(state.crypto, state.unread, state.traffic)
        self._outbox: deque[bytes] = deque()
        self._pongs = 0
        self._paused = True
        self._here = True
        self._sent = 0
        self._pings = Pings()
        self._patience = patience_for(taken.peer.address)
        self._pinger = Pinger(self._loop.time(), taken.timing, self._patience)
        self._stuck: tuple[float, int] | None = None
        """Since when exactly so much is unsent."""
        self._id = self.adopt(taken.peer_fd, state.unsent, taken.peer.conn_id)
        self._look_later()

    # Line

    @property
    def peer(self) -> PeerInfo:
        """Who it is."""
        return self._info

    def say(self, message: bytes) -> None:
        """Behind all that was said before."""
        if self._here:
            self._outbox.append(message)
            self.want_to_send(self._id)

    def pause(self) -> None:
        """Hear nothing."""
        self._paused = True

    def resume(self) -> None:
        """Hear on, from the next turn."""
        self._paused = False
        self._loop.call_soon(self._go_on)

    def end(self, reason: str, last_words: list[bytes]) -> None:
        """Close, when all that was said has gone out."""
        if not self._here:
            return
        self._leave()
        batch = bytearray()
        for message in [*self._outbox, *last_words]:
            self._frames.encrypt_into(batch, message)
        self.send_bytes(self._id, batch)
        self.close_when_sent(self._id, FAREWELL)
        status.debug(f"ends: {reason}", self._info.node_id)

    @property
    def closing(self) -> bool:
        """Last words are on their way."""
        return bool(self._farewells)

    def close_sockets(self) -> None:
        """At once."""
        self._leave()
        super().close_sockets()

    def _leave(self) -> None:
        self._here = False
        self._look.cancel()
        self._pings.fail()

    def _lost(self, reason: str) -> None:
        if self._here:
            self._leave()
            self.close_connection(self._id)
            self._events.ended(self, reason)

    def _fault(self, reason: str) -> None:
        """The peer's bytes are wrong: it is told so, and that is all."""
        if self._here:
            self.end(reason, [WarningMessage(ALL_CHANNELS, reason.encode()).encode()])
            self._events.ended(self, reason)

    # hearing

    def _go_on(self) -> None:
        """With what was read before."""
        if self._here:
            self._hear(b"")
        if self._here:
            self.update_receiving(self._id)

    def _hear(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data):
                if not self._take(message) or self._stopped():
                    return
        except FrameError as error:
            self._lost(str(error))
        except WireError as error:
            self._fault(f"bad message: {error}")

    def _stopped(self) -> bool:
        return self._paused or self._pongs > PONGS_MARK

    def _take(self, message: bytes) -> bool:
        if message[:2] in (_PING, _PONG):
            self._answer(message)
            return True
        if len(message) < 2:
            raise WireError("a message without a type")
        return self._events.heard(self, message)

    def _answer(self, message: bytes) -> None:
        match decode(message):
            case Ping(num_pong_bytes=wanted) if wanted < NO_PONG:  # B1-37; zeros never hold a secret (B1-38)
                pong = Pong(ignored=bytes(wanted)).encode()
                self._pongs += len(pong)
                self.say(pong)
            case Pong(ignored=ignored):
                self._pings.heard(len(message), len(ignored))

    # saying

    def event_ready_to_send(self, id: int) -> bool:
        """The socket takes more."""
        batch, count, was_stopped = bytearray(), 0, self._stopped()
        while self._outbox and len(batch) < PULL:
            message = self._outbox.popleft()
            self._frames.encrypt_into(batch, message)
            if message[:2] == _PONG:
                self._pongs -= len(message)
            elif message[:2] != _PING:
                count += 1
        self._stuck = None
        self.send_bytes(id, batch)
        if self._outbox:
            self.want_to_send(id)
        if count:
            self._events.sent(self, count)
        if was_stopped and not self._stopped():
            self._loop.call_soon(self._go_on)
        return False

    # as time goes by

    def _look_later(self) -> None:
        self._look = self._loop.call_later(self._pinger.pause(random.random()), self._look_now)  # noqa: S311 - no secret

    def _look_now(self) -> None:
        now = self._loop.time()
        if self._is_stuck(now, self.unsent_size(self._id)):
            self._lost("it does not take what is sent to it")
            return
        verdict = self._pinger.look(now)
        if verdict is Verdict.GONE:
            self._lost("it does not answer pings")
            return
        if verdict is Verdict.PING:
            self.say(Ping(PONG_BYTES, b"").encode())
            self._pings.said(PONG_BYTES, self._ponged)
        self._look_later()

    def _is_stuck(self, now: float, unsent: int) -> bool:
        if not unsent:
            self._stuck = None
        elif self._stuck is None or self._stuck[1] != unsent:
            self._stuck = now, unsent
        return self._stuck is not None and now - self._stuck[0] > SLOW_READER * self._patience

    def _ponged(self, total: int | None) -> None:
        if total is not None:
            self._pinger.ponged(self._loop.time())

    # events of the socket

    def event_got_data(self, id: int, data: bytes) -> None:
        """Bytes from the peer."""
        self._pinger.heard_at = self._loop.time()
        self._hear(data)

    def event_got_eof(self, id: int) -> None:
        """The peer says no more."""
        self._lost("the peer has closed the connection")

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        """The socket is broken."""
        self._lost(error.strerror or str(error))

    def should_try_to_recv(self, id: int) -> bool:
        """Not while there is a packet that may not be decrypted yet."""
        return not self._stopped() and self._frames.unread_size <= MAX_PACKET
