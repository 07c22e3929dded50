"""The feed of a node, for programs: subscribe, and get typed messages.

    from lightningd_py.tools.feed_client import Feed

    with Feed("/home/me/.lightning-py/bitcoin/feed", ["gossip."]) as feed:
        for message in feed:
            print(message.topic, message.outcome, message.raw.hex())

The messages are those of `wire.bus.feed`; docs/feed.md explains them. Of this package it needs that module alone.
"""

import math
import time
from collections.abc import Iterable, Iterator
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import zmq
import zmq.auth
from zmq.utils.monitor import recv_monitor_message

from wire.bus.feed import FeedError, FeedMessage, decode

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
    ) -> None:
        """`where`: a ZMQ endpoint, or the socket's path. `topics`: those that begin with any of these are taken.
        `keys`: for tcp.

        Raises FeedError, one sentence, if no node publishes there, or if it refuses the keys.
        """
        name = fspath(where)
        self.endpoint = name if "://" in name else f"ipc://{name}"
        self.lost = self.lost_of = 0
        self._ended = False
        self._last: dict[str, int] = {}
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
            for topic in topics:
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
        frames = self.frames(timeout)
        if frames is None:
            return None
        message = decode(*frames)
        self._count(message)
        return message

    def frames(self, timeout: float | None = None) -> tuple[bytes, bytes] | None:
        """The two frames of the next message, with all keys that it has, in `next`'s stead: `lost` does not count then.

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

    def _count(self, message: FeedMessage) -> None:
        before = self._last.get(message.topic)
        self._last[message.topic] = message.seq
        self.lost_of = 0 if before is None else message.seq - before - 1
        self.lost += self.lost_of
