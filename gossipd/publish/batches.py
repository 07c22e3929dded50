"""The feed's messages for subscribers that take batches: collected by kind, and sent many in one of ZMQ's.

A batch leaves when it is as large as a message may be without being counted (`feed_socket.LARGE`), so that a queue
holds no more bytes than before, and at the latest a moment after the one before: what comes in a quiet time leaves at
once. What costs is not packing but ZMQ: two frames, a wake-up of its thread, a write into the socket. Measured in a
first sync, where a message of gossip makes two of the feed: docs/performance.md has what they cost singly and so.
"""

from collections.abc import Callable

import msgpack

from gossipd.publish.packing import Packing
from wire.bus.feed import TOPICS
from wire.bus.feed_batches import BATCH, KINDS

MOST_BYTES = 3_900
"""Of the messages of a batch, unless it is one message."""
PAUSE = 0.02
"""Seconds between two batches that are not full."""

_KEYS = 6
"""Those that each message of the feed has, and `messages`."""
_MANY = bytes(msgpack.packb("messages")) + b"\xdc"
"""An array with a length of two bytes."""
_KIND_OF = {topic: topic.partition(".")[0] for topic in TOPICS}


class Batches:
    """Of one run of a gossipd. `later` calls a function in so many seconds: of the loop, which is not known here."""

    def __init__(self, send: Callable[[bytes, bytes], None], packing: Packing, now_ns: Callable[[], int]) -> None:
        self._send = send
        self._packing = packing
        self._now_ns = now_ns
        self._seq = dict.fromkeys(KINDS, 0)
        self.later: Callable[[float, Callable[[], None]], object] = lambda seconds, call: call()
        self._waiting: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
        self._sizes = dict.fromkeys(KINDS, 0)
        self._is_due = False
        self._is_pause = False

    def add(self, topic: str, entry: bytes) -> None:
        """One more message, packed: [topic, values]."""
        kind = _KIND_OF[topic]
        size = self._sizes[kind] + len(entry)
        if size > MOST_BYTES and self._sizes[kind]:
            self._leave(kind)
            size = len(entry)
        self._sizes[kind] = size
        self._waiting[kind].append(entry)
        if not self._is_due:
            self._is_due = True
            if not self._is_pause:
                self.later(0.0, self.flush)

    def flush(self) -> None:
        """Send what waits, and nothing more for a moment, unless it is much."""
        for kind, size in self._sizes.items():
            if size:
                self._leave(kind)
        self._is_due = False
        if not self._is_pause:
            self._is_pause = True
            self.later(PAUSE, self._pause_is_over)

    def _pause_is_over(self) -> None:
        self._is_pause = False
        if self._is_due:
            self.flush()

    def _leave(self, kind: str) -> None:
        waiting = self._waiting[kind]
        self._waiting[kind], self._sizes[kind] = [], 0
        self._seq[kind] += 1
        self._send(f"{BATCH}{kind}".encode(), self._batch(self._seq[kind], waiting))

    def answer(self, question: bytes) -> None:
        """Tell a subscriber that there are batches: by one without a message."""
        self._send(question, self._batch(0, []))

    def _batch(self, seq: int, entries: list[bytes]) -> bytes:
        head = self._packing.head(_KEYS, seq, self._now_ns())
        return b"".join((head, _MANY, len(entries).to_bytes(2, "big"), *entries))
