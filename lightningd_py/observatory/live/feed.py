"""The feed of all vantage points: lines in the order of their times, as far as a second's delay allows."""

import asyncio
import time
from collections.abc import Callable, Collection

from lightningd_py.observatory.jetstream.connecting import Access
from lightningd_py.observatory.live.batches import Batch, Live
from lightningd_py.observatory.live.messages import Texts, messages_of
from wire.bus.feed import FeedMessage

TABLES = {"gossip.": "arrivals", "sent.": "arrivals", "peer.": "peers", "map.": "map"}
HELD = 0.75
"""Seconds that a batch waits for the messages that it is about, and for what others have heard at the same time."""
TURN = 0.25
MOST_HELD = 4_000
"""Batches that wait; of what is more the oldest is shown at once."""

Heard = Callable[[FeedMessage, int], None]
"""Gets a message, and how many batches of its vantage point are missing before it."""


class NatsFeed:
    """`heard` is called for each message, in one thread."""

    def __init__(self, heard: Heard, topics: Collection[str], now: Callable[[], float] = time.monotonic) -> None:
        """`topics`: whole names."""
        self._heard, self._topics, self._now = heard, topics, now
        self._texts = Texts()
        self._held: list[tuple[float, Batch]] = []

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
        if len(self._held) > MOST_HELD:
            self._tell([self._held.pop(0)[1]])

    def turn(self) -> None:
        """Tell what has waited long enough."""
        now = self._now()
        due = [found for until, found in self._held if until <= now]
        self._held = [each for each in self._held if each[0] > now]
        self._tell(due)

    def _tell(self, due: list[Batch]) -> None:
        told: list[tuple[int, int, FeedMessage, int]] = []
        for found in due:
            lost = found.lost
            for message in messages_of(found.table, found.rows, self._texts, self._topics):
                told.append((message.time_ns, len(told), message, lost))
                lost = 0
        for _, _, message, lost in sorted(told, key=lambda each: each[:2]):
            self._heard(message, lost)


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
    stopping = asyncio.Event()
    live = Live(access, network, vantages, feed.tables, say, say)
    running = asyncio.create_task(live.run(feed.take, stopping))
    try:
        while not running.done():
            await asyncio.sleep(TURN)
            feed.turn()
        await running
    finally:
        stopping.set()
        await asyncio.gather(running, return_exceptions=True)
