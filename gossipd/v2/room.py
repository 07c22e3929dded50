"""What the daemon sees of gossip v2, and what stands there without the option: the rest is not even loaded then."""

from collections.abc import Mapping
from typing import Protocol

from gossipd.feed import NOT_JUDGED, Feed
from gossipd.verdict import Verdict

RESULTS = "kept", "bad", "rate_limited"
"""What becomes of messages; of what is bad, what is malformed too."""


class Room(Protocol):
    """`hear` gets what peers say; the other methods are the daemon's."""

    @property
    def verdicts(self) -> Mapping[int, Mapping[Verdict, int]]:
        """How often messages of each type have had each verdict."""

    @property
    def results(self) -> Mapping[str, int]:
        """How often each of RESULTS came of a message."""

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Channels, messages and bytes that are kept."""

    @property
    def watched(self) -> list[int]:
        """Channels whose outputs the chain is to watch."""

    def hear(self, message: bytes, conn_id: int) -> None:
        """A message of a peer's. Raises BadGossip."""

    def spent(self, scids: list[int]) -> None:
        """The outputs of these channels are spent."""

    def tick(self) -> None:
        """Time has passed."""

    def close(self) -> None:
        """Let go of the file."""


class NotJudged:
    """Without the option: what is said is told to the feed, and nothing comes of it."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self.verdicts: dict[int, dict[Verdict, int]] = {}
        self.results = dict.fromkeys(RESULTS, 0)
        self.sizes = 0, 0, 0
        self.watched: list[int] = []

    def hear(self, message: bytes, conn_id: int) -> None:
        """A message of a peer's."""
        if self._feed.gossip:
            self._feed.refused(message, conn_id, NOT_JUDGED)

    def tick(self) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Nothing is open."""

    def spent(self, scids: list[int]) -> None:
        """Nothing is kept."""
