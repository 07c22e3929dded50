"""What gossipd tells as long as clients of the JSON-RPC want to hear of it: the feed, and custom messages."""

import dataclasses
from collections.abc import Callable
from typing import Any

from lightningd_py.news.topics import CUSTOMMSG, GOSSIP_TOPICS, Topics
from wire.bus import feed
from wire.bus.feed import FeedError, FeedMessage
from wire.control.control_message import ControlMessage
from wire.control.control_wire import CopyCustom, FeedSaid, TakeFeed
from wire.control.status import Status
from wire.scid import scid_to_text

status = Status("lightningd")


class GossipNews:
    """Has gossipd tell what is taken, and passes it on."""

    def __init__(self, topics: Topics, tell: Callable[[ControlMessage], None]) -> None:
        """`tell` says something to the gossipd that is there now."""
        self._topics = topics
        self._tell = tell
        self._feed: list[str] = []
        self._custom = False
        self.lost = 0
        """Messages of the feed that gossipd found no room for."""
        topics.changed.append(self._changed)

    def resume(self, taken: frozenset[str]) -> None:
        """gossipd has been told by the program before us that these topics are taken."""
        self._feed, self._custom = [topic for topic in GOSSIP_TOPICS if topic in taken], CUSTOMMSG in taken

    def fresh_gossipd(self) -> None:
        """Another one is there, which has been told nothing."""
        self._feed, self._custom = [], False
        self._changed()

    def _changed(self) -> None:
        taken = self._topics.taken
        feed, custom = [topic for topic in GOSSIP_TOPICS if topic in taken], CUSTOMMSG in taken
        if feed != self._feed:
            self._feed = feed
            self._tell(TakeFeed(feed))
        if custom != self._custom:
            self._custom = custom
            self._tell(CopyCustom(custom))

    def said(self, message: FeedSaid) -> None:
        """A message of the feed."""
        self.lost += message.lost
        if message.topic not in GOSSIP_TOPICS:
            return
        try:
            said = feed.decode(message.topic.encode(), message.body)
        except FeedError as error:
            status.unusual(f"gossipd says of {message.topic} what no one can read: {error}")
            return
        self._topics.say(message.topic, lambda: _fields(said, message.lost))


def _fields(said: FeedMessage, lost: int) -> dict[str, Any]:
    """Those of docs/feed.md as JSON: bytes in hex, a short_channel_id as text."""
    fields = {name: _json(name, value) for name, value in dataclasses.asdict(said).items() if name != "topic"}
    return fields | ({"lost": lost} if lost else {})


def _json(name: str, value: Any) -> Any:
    if name == "short_channel_id" and value is not None:
        return scid_to_text(value)
    return value.hex() if isinstance(value, bytes) else value
