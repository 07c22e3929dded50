"""An owner's end of a gossip fd without the fd: what waits in it, both ways, and what is owed. Part of `duties`."""

from collections import deque

from wire.control.shares import Newest
from wire.gossip_layout import CHAIN_HASH, FILTER_SIZE, GOSSIP_2_TYPES, GOSSIP_TYPES
from wire.net.gossip_fd import GossipOwed, is_owed
from wire.peer_wire import GossipTimestampFilter

GOSSIP_MARK = 32_768
"""Bytes of gossip for the peer that wait here; the rest stays at gossipd."""
MAX_FILTERS = 16
"""Chains for each of which the last filter is kept; one is ours."""
MAX_QUESTIONS = 16
MAX_QUESTION_BYTES = 131_072
MAX_LEFT_OVER = 262_144
"""Bytes of `GossipQueue.left_over`, at most: 50 kB about what is owed, the filters, and the questions."""

_ANNOUNCED = tuple(number.to_bytes(2, "big") for number in GOSSIP_TYPES)
_UNJUDGED = tuple(number.to_bytes(2, "big") for number in GOSSIP_2_TYPES)
_FILTER = GossipTimestampFilter.number.to_bytes(2, "big")


class GossipQueue:
    """An owner's end of a gossip fd, both ways.

    What gossipd does not take is waited for a while, then dropped, and owed: gossipd hears what it was about as soon
    as it takes something, and asks for it again. Queries, of which the latest are kept, cannot be asked for again,
    nor the peer's filter, which is never dropped. What has still found no room when the connection moves goes with
    it (`left_over`, `PeerState.gossip`).
    """

    __slots__ = (
        "_filters",
        "_given_up",
        "_owed",
        "_patience",
        "_question_bytes",
        "_questions",
        "_size",
        "_unsent",
        "_waiting",
        "dropped",
        "full_since",
    )

    def __init__(self, patience: float, left_over: list[bytes]) -> None:
        """`patience`: seconds for which gossipd may take nothing. `left_over`: what the last owner has left."""
        self.dropped = 0
        self.full_since: float | None = None
        """Since when gossipd takes nothing."""
        self._patience = patience
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._unsent: bytes | None = None
        self._given_up = False
        self._owed = GossipOwed()
        self._filters: Newest[bytes, bytes] = Newest(MAX_FILTERS)
        self._questions: deque[bytes] = deque()
        self._question_bytes = 0
        for packet in left_over:
            self._drop(packet)

    # to gossipd

    def write(self, message: bytes) -> None:
        """Gossip of the peer's."""
        if self._unsent is None and not self._given_up:
            self._unsent = message
        else:
            self._drop(message)

    @property
    def next_packet(self) -> bytes | None:
        """What is to be written now, if there is room: then `wrote` is to be called, otherwise `no_room`."""
        if self._unsent is not None:
            return self._unsent
        if self._owed:
            return self._owed.encode()
        if self._filters:
            return next(iter(self._filters.values.values()))
        return self._questions[0] if self._questions else None

    def wrote(self) -> None:
        """`next_packet` has been written."""
        self.full_since, self._given_up = None, False
        if self._unsent is not None:
            self._unsent = None
        elif self._owed:
            self._owed = GossipOwed()
        elif self._filters:
            self._filters.pop(next(iter(self._filters)))
        else:
            self._question_bytes -= len(self._questions.popleft())

    def no_room(self, now: float) -> None:
        """gossipd does not take it now."""
        if self.full_since is None:
            self.full_since = now

    @property
    def is_full(self) -> bool:
        """gossipd takes nothing now: the peer is not to be read, for a while."""
        return self._unsent is not None

    def look(self, now: float) -> bool:
        """Give up what has waited for too long: True if the peer may be read again over it."""
        if self._unsent is None or self.full_since is None or now - self.full_since < self._patience:
            return False
        self._give_up()
        return True

    @property
    def deadline(self) -> float | None:
        """When to look, if gossipd takes nothing until then."""
        return None if self._unsent is None or self.full_since is None else self.full_since + self._patience

    def lose(self) -> None:
        """gossipd is gone: what the peer says is owed to the next one."""
        self._give_up()

    def left_over(self) -> list[bytes]:
        """All that has found no room, as packets for gossipd."""
        self._give_up()
        owed = [self._owed.encode()] if self._owed else []
        return [*owed, *self._filters.values.values(), *self._questions]

    def _give_up(self) -> None:
        unsent, self._unsent, self._given_up = self._unsent, None, True
        if unsent is not None:
            self._drop(unsent)

    def _drop(self, packet: bytes) -> None:
        if packet[:2] in _ANNOUNCED:
            self._owed.note(packet)
            self.dropped += 1
        elif packet[:2] in _UNJUDGED:
            self.dropped += 1  # which is not asked for
        elif is_owed(packet):
            self._owed.merge(packet)
        elif packet[:2] == _FILTER and len(packet) >= FILTER_SIZE:
            self._keep_filter(packet)
        else:
            self._keep_question(packet)

    def _keep_filter(self, packet: bytes) -> None:
        """Without what a peer may put behind its fields."""
        self._filters.put(packet[CHAIN_HASH], packet[:FILTER_SIZE])

    def _keep_question(self, packet: bytes) -> None:
        self._questions.append(packet)
        self._question_bytes += len(packet)
        while len(self._questions) > MAX_QUESTIONS or self._question_bytes > MAX_QUESTION_BYTES:
            self._question_bytes -= len(self._questions.popleft())

    # from gossipd

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def heard(self, packet: bytes) -> None:
        """Gossip for the peer."""
        self._waiting.append(packet)
        self._size += len(packet)

    @property
    def may_read(self) -> bool:
        """Whether there is room for more of it."""
        return self._size <= GOSSIP_MARK

    def pull(self, messages: list[bytes], most: int) -> int:
        """Move what waits for the peer to `messages`, `most` bytes or a little more; how much of that is left."""
        while self._waiting and most > 0:
            message = self._waiting.popleft()
            messages.append(message)
            self._size -= len(message)
            most -= len(message)
        return most
