"""Who hears of what as it happens: a client takes topics, and gets each event of these, as JSON fields.

The names and fields are CLN's where CLN has the notification; those of gossip are the feed's (docs/feed.md).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wire.bus.feed import TOPICS as FEED_TOPICS

CONNECT, DISCONNECT, CUSTOMMSG, LOG = "connect", "disconnect", "custommsg", "log"
GOSSIP_TOPICS = tuple(topic for topic in FEED_TOPICS if not topic.startswith("peer."))
"""What gossipd tells only while a client wants it; connections have topics of CLN's."""
TOPICS = (CONNECT, DISCONNECT, CUSTOMMSG, LOG, *GOSSIP_TOPICS)

Hear = Callable[[str, dict[str, Any]], None]
"""Gets a topic and the event's fields; never waits, raises nothing."""


def named(wanted: Iterable[str]) -> frozenset[str]:
    """The topics that these words name: a topic, or what some begin with up to a dot, as `map.`. Raises ValueError."""
    found: set[str] = set()
    for word in wanted:
        under = [topic for topic in TOPICS if topic == word or (word.endswith(".") and topic.startswith(word))]
        if not under:
            raise ValueError(f"'{word}' is no topic: there are {', '.join(TOPICS)}")
        found.update(under)
    return frozenset(found)


class Topics:
    """The clients, and what each of them wants to hear."""

    def __init__(self) -> None:
        self._takers: dict[Hear, frozenset[str]] = {}
        self.taken: frozenset[str] = frozenset()
        """Those that any client wants: the others need not be made."""
        self.changed: list[Callable[[], None]] = []
        """Called when `taken` is different."""

    def take(self, hear: Hear, topics: frozenset[str]) -> None:
        """From now on this client hears of these, and of no others."""
        if topics:
            self._takers[hear] = topics
        else:
            self._takers.pop(hear, None)
        taken = frozenset(topic for each in self._takers.values() for topic in each)
        if taken != self.taken:
            self.taken = taken
            for tell in self.changed:
                tell()

    def _who_takes(self, topic: str) -> Iterator[Hear]:
        yield from [hear for hear, topics in self._takers.items() if topic in topics]

    def say(self, topic: str, fields: Callable[[], dict[str, Any]]) -> None:
        """An event: `fields` is called if any client wants it."""
        if topic in self.taken:
            event = fields()
            for hear in self._who_takes(topic):
                hear(topic, event)
