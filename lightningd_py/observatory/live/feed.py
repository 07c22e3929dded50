"""The feed of all vantage points: lines in the order of their times, as far as a second's delay allows."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection

from lightningd_py.observatory.jetstream.connecting import Access, end
from lightningd_py.observatory.live.batches import Batch, Live
from lightningd_py.observatory.live.messages import Texts, messages_of
from wire.bus.feed import FeedMessage
from wire.control.shares import Newest

TABLES = {"gossip.": "arrivals", "sent.": "arrivals", "peer.": "peers", "map.": "map"}
HELD = 0.75
"""Seconds that a batch waits for the messages that it is about, and for what others have heard at the same time."""
TURN = 0.25
MOST_HELD, MOST_HELD_BYTES = 4_000, 64 << 20
"""Batches that wait; of what is more the oldest are shown at once."""
MOST_VANTAGES = 1_000
"""Whose lost batches are to be told of yet."""

Heard = Callable[[FeedMessage, int], None]
"""Gets a message, and how many batches of its vantage point are missing before it."""


class NatsFeed:
    """`heard` is called for each message, in one thread."""

    def __init__(self, heard: Heard, topics: Collection[str], now: Callable[[], float] = time.monotonic) -> None:
        """`topics`: whole names."""
        self._heard, self._topics, self._now = heard, topics, now
        self._texts = Texts()
        self._held: deque[tuple[float, Batch]] = deque()
        self._held_bytes = 0
        self._lost: Newest[str, int] = Newest(MOST_VANTAGES)

    @property
    def tables(self) -> list[str]:
        """Those that it needs."""
        found = {table for begin, table in TABLES.items() if any(topic.startswith(begin) for topic in self._topics)}
        return [*sorted(found), "messages"]

    def take(self, found: Batch) -> None:
        """What comes."""
        if found.table == "messages":
            self._texts.take(found.rows)
            return
        self._held.append((self._now() + HELD, found))
        self._held_bytes += found.rows.nbytes
        while len(self._held) > MOST_HELD or self._held_bytes > MOST_HELD_BYTES:
            self._tell([self._oldest()])

    def turn(self) -> None:
        """Tell what has waited long enough."""
        now, due = self._now(), []
        while self._held and self._held[0][0] <= now:
            due.append(self._oldest())
        self._tell(due)

    def _oldest(self) -> Batch:
        _, found = self._held.popleft()
        self._held_bytes -= found.rows.nbytes
        return found

    def _tell(self, due: list[Batch]) -> None:
        """What is lost is told with the vantage point's next message of a wanted topic, whenever that comes."""
        told: list[FeedMessage] = []
        for found in due:
            if found.lost:
                self._lost.put(found.vantage, (self._lost.get(found.vantage) or 0) + found.lost)
            told += messages_of(found.table, found.rows, self._texts, self._topics)
        for message in sorted(told, key=lambda each: each.time_ns):
            self._heard(message, self._lost.pop(message.vantage) or 0)


async def follow(
    access: Access,
    network: str,
    vantages: Collection[str],
    topics: Collection[str],
    heard: Heard,
    say: Callable[[str], None],
) -> None:
    """Until it is cancelled. Raises ObservatoryError if no server can be reached."""
    feed = NatsFeed(heard, topics)
    live = Live(access, network, vantages, feed.tables, say, say)
    running = asyncio.create_task(live.run(feed.take))
    try:
        while not running.done():
            await asyncio.sleep(TURN)
            feed.turn()
        await running
    finally:
        await end(running)
