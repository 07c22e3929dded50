"""The thread that reads the feed: for ever, also when there is none at the moment."""

import threading
from collections.abc import Callable

from lightningd_py.observatory.web.arrivals import Arrivals
from lightningd_py.tools.feed_client import Feed
from wire.bus.feed import FeedError

TOPICS = ("gossip.", "peer.connected", "peer.disconnected")
LOOK = 0.5
"""Seconds after which it is seen that the end has come."""
PAUSE = 2.0
"""Seconds until the feed is tried again."""


class Follower:
    """Reads from `start` to `close`. `opener` gives the feed, or raises FeedError."""

    def __init__(self, opener: Callable[[], Feed], arrivals: Arrivals) -> None:
        self._opener = opener
        self._arrivals = arrivals
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def start(self) -> None:
        """In a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Wait until it has ended."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                with self._opener() as feed:
                    self._read(feed)
            except FeedError as error:
                self._arrivals.set_state(str(error))
                self._end.wait(PAUSE)

    def _read(self, feed: Feed) -> None:
        self._arrivals.set_state("")
        while not self._end.is_set():
            lost = feed.lost
            message = feed.next(LOOK)
            if message is not None:
                self._arrivals.hear(message)
            if feed.lost != lost:
                self._arrivals.set_state("", feed.lost)
