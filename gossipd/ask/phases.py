"""Whether what a connection says belongs to its first sync, or is life: by how much it says, and by what we ask it.

A connection is in sync until it has said little for a while, half an hour at most, and whenever it answers a question
of ours for channels. Looked at as time passes, not with each message.
"""

from collections.abc import Callable

SYNC, LIVE = "sync", "live"
LIVE_RATE = 20.0
"""Messages a second, under which a peer tells news: the whole network has five a second, a first sync thousands."""
LONGEST = 180
"""A sync takes so many times the time of quiet at most: half an hour, as long as a first stream is listened to."""


class Phases:
    """By conn_id. All times are seconds on a clock that does not jump."""

    def __init__(
        self, clock: Callable[[], float], quiet: float, heard: Callable[[int], int], asked: Callable[[], int | None]
    ) -> None:
        """`quiet`: seconds in which little must be said. `heard`: how many messages have come of a connection; `asked`:
        the one that answers a question for channels now.
        """
        self._clock = clock
        self._quiet = quiet
        self._heard = heard
        self._asked = asked
        self._syncing: dict[int, tuple[float, float, int]] = {}
        """Until when at most, since when it is counted, and from which count on."""

    def of(self, conn_id: int) -> str:
        """SYNC or LIVE."""
        return SYNC if conn_id in self._syncing or conn_id == self._asked() else LIVE

    def is_live(self, conn_id: int) -> bool:
        """Its first sync is over."""
        return conn_id not in self._syncing

    def begin(self, conn_id: int) -> None:
        """A peer was asked for all it has, or has just come."""
        now = self._clock()
        self._syncing[conn_id] = now + LONGEST * self._quiet, now, self._heard(conn_id)

    def end(self, conn_id: int) -> None:
        """A peer has gone, or its sync was over at another gossipd."""
        self._syncing.pop(conn_id, None)

    def tick(self) -> None:
        """Look at those that have been counted for long enough."""
        now = self._clock()
        for conn_id, (until, since, before) in list(self._syncing.items()):
            if now - since >= self._quiet:
                heard = self._heard(conn_id)
                said_little = 0 <= heard - before < LIVE_RATE * (now - since)  # less: its connection has moved
                if said_little or now >= until:
                    del self._syncing[conn_id]
                else:
                    self._syncing[conn_id] = until, now, heard
