"""The one connection of a process or thread: a Line, whose owner answers pings and, without gossipd, nothing else."""

import asyncio
import random
from collections import deque

from connectd.line import LineEvents
from wire.control_wire import PeerInfo, TakePeer
from wire.cursor import WireError
from wire.limits import Limits
from wire.message import decode
from wire.owned import Owned
from wire.peer_wire import ALL_CHANNELS, Ping, Pong, WarningMessage
from wire.pinger import NO_PONG, Pings, PongHandler
from wire.status import Status
from wire.upkeep import Upkeep

PONGS_MARK = 16_384
"""Bytes of pongs that wait above which nothing more is heard: the peer must read them first."""
_INIT, _PING, _PONG = b"\0\x10", b"\0\x12", b"\0\x13"
_FRAME = 34
"""What a frame has besides its message."""

status = Status("connectiond")


class LoneLine:
    """To be made on the running loop. It is paused until `resume`."""

    def __init__(self, taken: TakePeer, events: LineEvents) -> None:
        """Raises OSError if the fd is no socket, ValueError if the state is none."""
        limits = Limits()
        self.info = taken.peer
        self._events = events
        self._outbox: deque[bytes] = deque()
        self._pong_bytes = 0
        self._paused = True
        self._pings = Pings()
        self._loop = asyncio.get_running_loop()
        self._owned: Owned[LoneLine] = Owned(
            lambda: True, lambda _, reason: self._ended([], reason), self, taken.timing, limits.read_rate
        )
        self._owned.take(self, taken.peer_fd, taken.state)
        self._upkeep: Upkeep[LoneLine] = Upkeep(
            self._owned,
            lambda _, last_words, reason: self._ended(last_words, reason),
            {},
            limits.slow_reader,
            random.random,
        )
        self._upkeep.came(self.info.conn_id)

    # Line

    @property
    def peer(self) -> PeerInfo:
        """Who it is."""
        return self.info

    def say(self, message: bytes) -> None:
        """Behind all that was said before."""
        self._outbox.append(message)
        if self._here:
            self._owned.want_to_send(self.info.conn_id)

    def pause(self) -> None:
        """Hear nothing."""
        self._paused = True

    def resume(self) -> None:
        """Hear on, from the next turn."""
        self._paused = False
        self._loop.call_soon(self._owned.go_on, self.info.conn_id)

    def end(self, reason: str, last_words: list[bytes]) -> None:
        """Close, when all that was said has gone out."""
        if self._here:
            status.debug(f"ends: {reason}", self.info.node_id)
            self._pings.fail()
            self._upkeep.close()
            self._owned.end(self, last_words)

    async def closed(self) -> None:
        """Wait until last words have left."""
        await self._owned.join()

    def close(self) -> None:
        """At once."""
        self._upkeep.close()
        self._owned.close_sockets()

    @property
    def _here(self) -> bool:
        return self._owned.owns(self.info.conn_id)

    def _ended(self, last_words: list[bytes], reason: str) -> None:
        if self._here:
            self.end(reason, last_words)
            self._events.ended(self, reason)

    # Speaker: what is heard

    @property
    def choked(self) -> bool:
        """Nothing may be heard now."""
        return self._paused or self._pong_bytes > PONGS_MARK

    def hear(self, message: bytes) -> bool:
        """One message of the peer's; False if the line has ended with it."""
        try:
            if len(message) < 2:
                raise WireError("it has no type")
            if message[:2] in (_PING, _PONG):
                self._answer(message)
                return True
            if message[:2] == _INIT:  # said once and for all
                return True
        except WireError as error:
            reason = f"bad message: {error}"
            self._ended([WarningMessage(ALL_CHANNELS, reason.encode()).encode()], reason)
            return False
        return self._events.heard(self, message)

    def _answer(self, message: bytes) -> None:
        match decode(message):
            case Ping(num_pong_bytes=wanted) if wanted < NO_PONG:  # B1-37; zeros never hold a secret (B1-38)
                pong = Pong(ignored=bytes(wanted)).encode()
                self._pong_bytes += len(pong)
                self.say(pong)
            case Pong(ignored=ignored):
                self._pings.heard(len(message), len(ignored))

    # Speaker: what is said

    @property
    def has_free(self) -> bool:
        """Nothing here can wait."""
        return bool(self._outbox)

    has_something_to_say = has_free

    def ping(self, num_pong_bytes: int, ignored_len: int, answered: PongHandler) -> None:
        """Say a ping."""
        self.say(Ping(num_pong_bytes, bytes(ignored_len)).encode())
        self._pings.said(num_pong_bytes, answered)

    def pull_outbox(self) -> list[bytes]:
        """All that waits."""
        messages = list(self._outbox)
        self._outbox.clear()
        return messages

    # Rations: there are none

    def pull(self, conn_id: int, peer: "LoneLine", most: int, now: float) -> list[bytes]:
        """What is said next."""
        messages = []
        while self._outbox and most > 0:
            message = self._outbox.popleft()
            messages.append(message)
            most -= len(message) + _FRAME
        self._pong_bytes -= sum(len(message) for message in messages if message[:2] == _PONG)
        if count := sum(message[:2] not in (_PING, _PONG) for message in messages):
            self._loop.call_soon(self._sent, count)
        return messages

    def wait(self, conn_id: int, now: float) -> float:
        """Not at all."""
        return 0.0

    def _sent(self, count: int) -> None:
        if self._here:
            self._events.sent(self, count)
