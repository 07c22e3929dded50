"""The arrivals of all vantage points, in the place of a node's feed."""

import dataclasses
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from lightningd_py.observatory.live.feed import NatsFeed
from lightningd_py.observatory.web.arrivals import Arrivals
from wire.bus.feed import topics_of

if TYPE_CHECKING:
    from lightningd_py.observatory.live.batches import Batch
    from lightningd_py.observatory.live.follower import PointFollower
    from wire.bus.feed import FeedMessage

TABLES = ("arrivals", "messages", "peers")
_TOPICS = topics_of([b"gossip.", b"peer.connected", b"peer.disconnected"])


class AllPoints:
    """From `start` to `close`."""

    def __init__(self, points: "PointFollower", arrivals: Arrivals, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._points, self._arrivals, self._now_ns = points, arrivals, now_ns
        self._lost = 0
        self._feed = NatsFeed(self._heard, _TOPICS)

    def _heard(self, message: "FeedMessage", lost: int) -> None:
        """By a clock that is ahead nothing would be counted in the seconds that all others are in."""
        self._lost += lost
        now_ns = self._now_ns()
        self._arrivals.hear(message if message.time_ns <= now_ns else dataclasses.replace(message, time_ns=now_ns))

    def start(self) -> None:
        """In a thread of its own."""
        self._points.start(self._take, self._turn)

    def _take(self, found: "Batch") -> None:
        if found.table in TABLES:
            self._feed.take(found)

    def _turn(self) -> None:
        self._arrivals.set_state(self._points.state, self._lost)
        self._feed.turn()

    def close(self) -> None:
        """Wait until it has ended."""
        self._points.close()
