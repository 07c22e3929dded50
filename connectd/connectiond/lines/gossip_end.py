"""The owner's end of a gossip fd: a peer's gossip goes through it to gossipd, and gossipd's to the peer. Design 2.9."""

import asyncio
import socket
from collections import deque
from collections.abc import Callable

from wire.control.status import Status
from wire.net.gossip_fd import GOSSIP_START, GossipFd, GossipOwed

MARK = 32_768
"""Bytes of gossip for the peer that wait here; the rest stays at gossipd."""

MAX_QUESTIONS = 16
_ANNOUNCED = tuple(number.to_bytes(2, "big") for number in (256, 257, 258))

status = Status("connectiond")


class GossipEnd:
    """One of them. What gossipd does not take is waited for a while, then dropped, and owed: gossipd hears what it was
    about as soon as it takes something, and asks for it again.
    """

    def __init__(
        self,
        fd: int | None,
        node_id: bytes,
        patience: float,
        on_packet: Callable[[], None],
        on_room: Callable[[], None],
    ) -> None:
        """`fd` is None where there is no gossipd. `patience`: seconds for which gossipd may take nothing.

        `on_packet`: something waits for the peer. `on_room`: the peer may be read again. Raises OSError if the fd is
        no socket: it is still the caller's then.
        """
        self.dropped = 0
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._node_id = node_id
        self._patience = patience
        self._on_packet = on_packet
        self._on_room = on_room
        self._unsent: bytes | None = None
        self._gives_up = False
        self._owed = GossipOwed()
        self._questions: deque[bytes] = deque(maxlen=MAX_QUESTIONS)
        """The latest that nobody could be asked for again: filters, queries, and the answers to ours."""
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._fd: GossipFd | None = None
        if fd is not None:
            sock = socket.socket(fileno=fd)
            sock.setblocking(False)
            sock.set_inheritable(False)
            self._fd = GossipFd(sock, self._loop, self._heard, self._has_room, self._ended)
            self._fd.send(GOSSIP_START)

    # to gossipd

    @property
    def is_full(self) -> bool:
        """gossipd takes nothing now: the peer is not to be read, for a while."""
        return self._unsent is not None

    def write(self, message: bytes) -> None:
        """Gossip of the peer's."""
        if self._fd is None:
            return
        if self._unsent is not None or self._gives_up:
            self._drop(message)
        elif not self._fd.send(message):
            self._unsent = message
            self._timer = self._loop.call_later(self._patience, self._give_up)

    def _drop(self, message: bytes) -> None:
        if message[:2] not in _ANNOUNCED:
            self._questions.append(message)
            return
        self._owed.note(message)
        self.dropped += 1
        if self.dropped == 1:
            status.unusual("gossipd takes nothing: gossip of this peer is dropped", self._node_id)

    def _has_room(self) -> None:
        self._gives_up = False
        unsent, self._unsent = self._unsent, None
        self._stop_waiting()
        if unsent is not None:
            self.write(unsent)
        self._make_up()
        if not self.is_full:
            self._on_room()

    def _make_up(self) -> None:
        """Say what is owed, and what had to wait."""
        if self._owed and not self.is_full:
            packet, self._owed = self._owed.encode(), GossipOwed()
            self.write(packet)
        while self._questions and not self.is_full:
            self.write(self._questions.popleft())

    def _give_up(self) -> None:
        self._timer = None
        unsent, self._unsent = self._unsent, None
        self._gives_up = True
        if unsent is not None:
            self._drop(unsent)
        self._on_room()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # from gossipd

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def _heard(self, packet: bytes) -> None:
        self._waiting.append(packet)
        self._size += len(packet)
        if self._size > MARK and self._fd is not None:
            self._fd.pause()
        self._on_packet()

    def pull(self, messages: list[bytes], most: int) -> int:
        """Move what waits for the peer to `messages`, `most` bytes or a little more; how much of that is left."""
        while self._waiting and most > 0:
            message = self._waiting.popleft()
            messages.append(message)
            self._size -= len(message)
            most -= len(message)
        if self._size <= MARK and self._fd is not None:
            self._fd.resume()
        return most

    # the end

    def _ended(self) -> None:
        """gossipd is gone: the connection lives on without gossip."""
        self.close()
        self._on_room()

    def close(self) -> None:
        """The connection has ended."""
        self._stop_waiting()
        self._unsent = None
        if self._fd is not None:
            self._fd.close()
            self._fd = None

    def detach(self) -> int | None:
        """The fd is the caller's, None if gossipd is gone. What waits for the peer is to be pulled as well."""
        unsent, self._unsent, self._gives_up = self._unsent, None, False
        if unsent is not None:
            self._drop(unsent)
        self._make_up()
        self._stop_waiting()
        fd, self._fd = self._fd, None
        return None if fd is None else fd.detach()
