"""The feed of a node, for programs: subscribe, and get typed messages.

    from lightningd_py.tools.feed_client import Feed

    with Feed("/home/me/.lightning-py/bitcoin/feed", ["gossip."]) as feed:
        for message in feed:
            print(message.topic, message.outcome, message.raw.hex())

The messages are those of `wire.bus.feed`; docs/feed.md explains them. Of this package it needs that module alone.
"""

import math
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import zmq
import zmq.auth
from zmq.utils.monitor import recv_monitor_message

from wire.bus.feed import FeedError, FeedMessage, message_of
from wire.bus.feed_batches import BATCH, QUESTION, Unreadable, Values, batches_for, complete, opened

QUEUE = 10_000
"""Messages that wait in this process; more wait at the node, and what finds no room there is lost."""
ANSWER_TIME = 5.0
"""Seconds that a node has to answer."""
FAILED_HANDSHAKES = (
    zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
SILENCE = 60
"""Seconds after which a tcp connection is asked whether it is still there."""


class Keys(NamedTuple):
    """CURVE certificates, files as `zmq.auth.create_certificates` writes them: our own with its secret, and the public
    one of the node."""

    own: Path
    server: Path


class Feed:
    """A subscription. Iterating gives messages as they come, and raises FeedError when the node has gone.

    `lost` is how many messages this subscriber has lost so far, seen from gaps in `seq`, and `lost_of` the same for the
    message that was given last: so many of its topic are missing just before it.
    """

    def __init__(
        self,
        where: str | PathLike[str],
        topics: Iterable[str] = ("",),
        *,
        keys: Keys | None = None,
        queue: int = QUEUE,
        patience: float = ANSWER_TIME,
        batches: bool = False,
    ) -> None:
        """`where`: a ZMQ endpoint, or the socket's path. `topics`: those that begin with any of these are taken.
        `keys`: for tcp. `batches`: many messages come at a time, if `topics` are whole kinds (`gossip.`) and the node
        can: much cheaper for both, some milliseconds later.

        Raises FeedError, one sentence, if no node publishes there, or if it refuses the keys.
        """
        name = fspath(where)
        self.endpoint = name if "://" in name else f"ipc://{name}"
        self.lost = self.lost_of = 0
        self._ended = False
        self._last: dict[str, int] = {}
        self._opened: deque[tuple[str, Values]] = deque()
        """Messages of a batch that were not given yet."""
        plain = list(topics)
        self._batches = batches_for(plain) if batches else None
        """Batches that are wanted, each with the prefix that is taken until they come."""
        self._question = (QUESTION + os.urandom(8).hex()).encode()
        self._context = zmq.Context(io_threads=1)
        try:
            self._socket: zmq.Socket[bytes] = self._context.socket(zmq.SUB)
            self._socket.setsockopt(zmq.RCVHWM, queue)
            self._socket.setsockopt(zmq.RECONNECT_IVL, -1)  # a feed that comes back has lost an unknown part
            self._monitor = self._socket.get_monitor_socket(
                zmq.EVENT_HANDSHAKE_SUCCEEDED | FAILED_HANDSHAKES | zmq.EVENT_CLOSED | zmq.EVENT_DISCONNECTED
            )
            self._socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
            self._socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, SILENCE)
            if keys is not None:
                self._use(keys)
            self._poller = zmq.Poller()
            self._poller.register(self._socket, zmq.POLLIN)
            self._poller.register(self._monitor, zmq.POLLIN)
            if self._batches is not None:
                plain = [*self._batches.values(), self._question.decode()]
            for topic in plain:
                self._socket.subscribe(topic)
            self._connect(keys, patience)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[FeedMessage]:
        while (message := self.next()) is not None:
            yield message

    def next(self, timeout: float | None = None) -> FeedMessage | None:
        """The next message, or None if none comes within so many seconds. Raises FeedError."""
        found = self.values(timeout)
        return None if found is None else message_of(found[0], complete(*found))

    def values(self, timeout: float | None = None) -> tuple[str, Values] | None:
        """Topic and values of the next message, with all keys that came, in `next`'s stead: of a batch without those
        that can be found out from `raw`, and none at all of what cannot be read.

        None if none comes within so many seconds. Raises FeedError.
        """
        while True:
            while self._opened:
                topic, values = self._opened.popleft()
                if self._count(topic, values.get("seq", 0)):
                    return topic, values
            frames = self.frames(timeout)
            if frames is None:
                return None
            self._open(*frames)

    def frames(self, timeout: float | None = None) -> tuple[bytes, bytes] | None:
        """The two frames of the next message or batch, as they came; nothing is counted then, nor given by `next`.

        None if none comes within so many seconds. Raises FeedError.
        """
        deadline = 0.0
        while True:
            try:
                topic, body = self._socket.recv_multipart(zmq.NOBLOCK)
                return topic, body
            except zmq.Again:
                if self._ended:
                    raise FeedError(f"the feed on {self.endpoint} has ended") from None
            except ValueError:
                raise FeedError(f"what {self.endpoint} says is no feed") from None
            if not deadline:
                deadline = math.inf if timeout is None else time.monotonic() + timeout
            elif time.monotonic() >= deadline:
                return None
            self._ended = self._event(deadline) is not None

    def close(self) -> None:
        """Let go of it. Harmless if that was done before."""
        self._context.destroy(linger=0)

    def _use(self, keys: Keys) -> None:
        try:
            self._socket.curve_publickey, secret = zmq.auth.load_certificate(keys.own)
            self._socket.curve_serverkey, _ = zmq.auth.load_certificate(keys.server)
            if secret is None:
                raise ValueError(f"{keys.own} has no secret key")
            self._socket.curve_secretkey = secret
        except (OSError, ValueError, zmq.ZMQError) as error:
            raise FeedError(f"the CURVE keys cannot be used: {error}") from error

    def _connect(self, keys: Keys | None, patience: float) -> None:
        try:
            self._socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            raise FeedError(f"{self.endpoint} is no endpoint: {error.strerror}") from error
        match self._event(time.monotonic() + patience):
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise FeedError(f"{self.endpoint} refuses this key: its public half is not among the node's clients")
            case int(event) if event & FAILED_HANDSHAKES:
                reason = "CURVE keys are needed there" if keys is None else "the server's key is that of another node"
                raise FeedError(f"the handshake with {self.endpoint} fails: {reason}, or it is no feed")
        raise FeedError(f"nothing is published on {self.endpoint}")

    def _event(self, deadline: float) -> int | None:
        """Wait for a message, or for something that happens to the connection: what that is, else None."""
        left = None if math.isinf(deadline) else max(0, math.ceil((deadline - time.monotonic()) * 1000))
        if self._monitor in dict(self._poller.poll(left)):
            return int(recv_monitor_message(self._monitor)["event"])
        return None

    def _open(self, topic: bytes, body: bytes) -> None:
        if self._batches is not None and topic == self._question:
            for batch in self._batches:
                self._socket.subscribe(batch)
            self._socket.unsubscribe(topic)
            return
        name = topic.decode("ascii", "backslashreplace")
        if name.startswith(BATCH):
            if self._batches is None:
                return  # another subscriber's, and this one takes all that begins with nothing
            if prefix := self._batches.get(name):  # from the first batch on none can be missed by this
                self._batches[name] = ""
                self._socket.unsubscribe(prefix)
        try:
            self._opened.extend(opened(topic, body))
        except Unreadable:
            self._opened.append((name, {}))

    def _count(self, topic: str, seq: int) -> bool:
        """Whether this message is new: what comes singly until batches do comes in the first one, too."""
        before = self._last.get(topic)
        if self._batches is not None and before is not None and 0 < seq <= before:
            return False
        if seq:
            self._last[topic] = seq
        self.lost_of = 0 if before is None or not seq else seq - before - 1
        self.lost += self.lost_of
        return True
