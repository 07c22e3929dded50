"""The feed's ZMQ socket: XPUB, bound by gossipd itself, so that a feed costs the master nothing.

XPUB says who subscribes to what, and drops what a subscriber's queue has no room for; the gap in `seq` shows it. A
queue is bounded by messages, not by bytes, and a stranger may make gossip 65,535 bytes long. So what is large is
counted until ZMQ has let go of it, and is left out, for all subscribers, while too much of it is on its way. What a
subscriber wants is bounded, too (`subscribers.py`).
"""

import math
from collections.abc import Callable
from pathlib import Path

import zmq

from gossipd.publish.subscribers import Subscribers
from wire.bus.curve import Curve, CurveError
from wire.bus.feed import FeedError
from wire.bus.socket import NOW, NOW_AND_MORE, BusSocket
from wire.control.binding import BindFailed

LARGE = 4_096
"""Bytes of a message that are counted singly: usual gossip is a tenth of that."""
MOST_LARGE = 64 << 20
"""Bytes of large messages that may be on their way to subscribers."""
LOOK_AGAIN = 1.0
"""Seconds until it is looked again which large messages are still there."""
LONGEST_SUBSCRIPTION = 1_024
"""Bytes; a subscriber that sends more is disconnected. No topic has more than 40, but CURVE's handshake takes 300."""


class _Large:
    """The large messages that ZMQ still holds for a subscriber."""

    def __init__(self) -> None:
        self._held: list[tuple[zmq.MessageTracker, int]] = []
        self._bytes = 0
        self._looked = -math.inf

    def has_room(self, now: float) -> bool:
        """Whether one more may be sent. `now` in seconds of any clock."""
        if self._bytes >= MOST_LARGE and now - self._looked >= LOOK_AGAIN:
            self._looked = now
            self._held = [held for held in self._held if not held[0].done]
            self._bytes = sum(size for _, size in self._held)
        return self._bytes < MOST_LARGE

    def add(self, tracker: zmq.MessageTracker, size: int) -> None:
        """One more is on its way."""
        self._held.append((tracker, size))
        self._bytes += size


class _Xpub(BusSocket):
    """Publishes frames; `on_message` gets subscriptions. No thread of ours: ZMQ has its own, for I/O."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", queue: int, curve: Curve | None) -> None:
        super().__init__(context, lambda frames: None, kind=zmq.XPUB, curve=curve.keys if curve else None)
        if curve is not None:
            self.on_refused = curve.without_key
        self._socket.sndhwm = queue
        self._socket.linger = 0
        self._socket.maxmsgsize = LONGEST_SUBSCRIPTION
        self._socket.set(zmq.HEARTBEAT_IVL, 0)  # a subscriber that does not read for a while is slow, not dead
        self._socket.tcp_keepalive = 1
        self._socket.copy_threshold = 0  # what is sent without a copy is meant to be
        self._large = _Large()
        self.lost = 0
        self.subscribers = Subscribers()

    def _receive(self) -> list[bytes]:
        frames = self._socket.recv_multipart(NOW, copy=False)
        words = [frame.bytes for frame in frames]
        self.subscribers.heard(words[0], _connection_of(frames[0]))
        return words

    def publish(self, topic: bytes, body: bytes) -> None:
        """To all who take the topic and have room for it. Never waits."""
        if len(body) < LARGE:
            self._socket.send(topic, NOW_AND_MORE)
            self._socket.send(body, NOW)
        elif self._large.has_room(self._loop.time()):
            self._socket.send(topic, NOW_AND_MORE)
            self._large.add(self._socket.send(body, NOW, copy=False, track=True), len(body))
        else:
            self.lost += 1
        self._look_soon()


def _connection_of(frame: zmq.Frame) -> int | None:
    """The fd of the connection from which it came; None if that has ended."""
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return None


class FeedSocket:
    """Bound from the beginning to `close`. `subscribed` hears of subscriptions."""

    def __init__(self, endpoint: str, queue: int, keys: Path) -> None:
        """`queue`: messages that may wait for each subscriber. `keys`: the directory of CURVE's, for tcp. Raises
        FeedError, one sentence.
        """
        self.subscribed: Callable[..., None] = lambda prefix, *, wanted: None
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._curve: Curve | None = None
        self._xpub: _Xpub | None = None
        try:
            self._open(endpoint, queue, keys)
        except (BindFailed, CurveError) as error:
            self.close()
            raise FeedError(f"no feed: {error}") from error

    def _open(self, endpoint: str, queue: int, keys: Path) -> None:
        if endpoint.startswith("tcp:"):
            self._curve = Curve(self._context, keys)
        self._xpub = _Xpub(self._context, queue, self._curve)
        self.send = self._xpub.publish
        self._xpub.on_message = self._heard
        self._xpub.subscribers.endpoint = self._xpub.bind(endpoint)

    @property
    def lost(self) -> int:
        """Messages that were left out, for all subscribers."""
        return 0 if self._xpub is None else self._xpub.lost

    def _heard(self, frames: list[bytes]) -> None:
        """A subscription or its end: all else that a subscriber may send means nothing."""
        for frame in frames:
            if frame[:1] in (b"\0", b"\1"):
                self.subscribed(frame[1:], wanted=frame[0] == 1)

    def close(self) -> None:
        """Unbind; what waits for subscribers is dropped."""
        for each in (self._xpub, self._curve):
            if each is not None:
                each.close()
        self._context.destroy(linger=0)
