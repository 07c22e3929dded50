"""A feed that is no node's: publishes messages as gossipd does (docs/feed.md), for those who read feeds."""

import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any, Self

import zmq

from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.bus import feed

FAREWELL = 2.0
QUEUE = 1_000_000
"""Messages that wait for a subscriber that is slower."""


class Publisher:
    """Binds a Unix socket. Usable as `with`; the end of it is the feed's end for its subscribers."""

    def __init__(self, path: Path | str, vantage: str | None = None, epoch: int | None = None) -> None:
        """`vantage` and `epoch` are keys of each message if they are given. Raises ObservatoryError."""
        self._named = {"vantage": vantage, "epoch": epoch}
        self._named = {key: value for key, value in self._named.items() if value is not None}
        self._seq: Counter[str] = Counter()
        self._topics: list[bytes] = []
        self._context = zmq.Context(io_threads=1)
        self._socket: zmq.Socket[bytes] = self._context.socket(zmq.XPUB)
        self._socket.setsockopt(zmq.SNDHWM, QUEUE)
        self._socket.setsockopt(zmq.LINGER, 10_000)
        name = str(path)
        self.endpoint = name if "://" in name else f"ipc://{name}"
        try:
            self._socket.bind(self.endpoint)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise ObservatoryError(f"{self.endpoint} cannot be published on: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait(self, timeout: float) -> bool:
        """Until there is a subscriber; False if none comes in so many seconds."""
        deadline = time.monotonic() + timeout
        while not self._topics:
            if not self._socket.poll(max(0, int(1000 * (deadline - time.monotonic())))):
                return False
            word = self._socket.recv()
            self._note(word)
        return True

    def _note(self, word: bytes) -> None:
        if word[:1] == b"\1":
            self._topics.append(word[1:])
        elif word[1:] in self._topics:
            self._topics.remove(word[1:])

    def has_subscriber(self, topic: str = "") -> bool:
        """Whether the feed, or this topic of it, is taken at this moment."""
        with contextlib.suppress(zmq.Again):
            while True:
                self._note(self._socket.recv(zmq.NOBLOCK))
        return any(topic.encode().startswith(taken) or not topic for taken in self._topics)

    def say(self, topic: str, time_ns: int, /, **fields: Any) -> None:
        """Publish a message with the next `seq` of its topic."""
        self._seq[topic] += 1
        body = feed.encode(self._seq[topic], time_ns, self._named | fields)
        self._socket.send_multipart([topic.encode(), body])

    def skip(self, topic: str, count: int) -> None:
        """Count messages that are not said: a gap for the subscribers."""
        self._seq[topic] += count

    def close(self) -> None:
        """First the subscribers have two seconds, or until they go: what ZMQ has for one when the connection ends, it
        throws away."""
        deadline = time.monotonic() + FAREWELL
        while self.has_subscriber() and (left := deadline - time.monotonic()) > 0:
            self._socket.poll(max(1, int(1000 * left)))
        self._socket.close()
        self._context.term()
