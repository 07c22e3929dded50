"""What gossipd tells as long as clients of the JSON-RPC want to hear of it: the feed, and custom messages."""

from collections.abc import Callable
from typing import Any

import msgpack

from lightningd_py.news.topics import CUSTOMMSG, GOSSIP_TOPICS, Topics
from wire.control.control_message import ControlMessage
from wire.control.control_wire import CopyCustom, FeedSaid, TakeFeed
from wire.scid import scid_to_text


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
        self._topics.say(message.topic, lambda: _fields(message))


def _fields(message: FeedSaid) -> dict[str, Any]:
    """Those of docs/feed.md as JSON: bytes in hex, a short_channel_id as text, without the version."""
    said: dict[str, Any] = msgpack.unpackb(message.body)
    del said["v"]
    fields = {name: _json(name, value) for name, value in said.items()}
    return fields | ({"lost": message.lost} if message.lost else {})


def _json(name: str, value: Any) -> Any:
    if name == "short_channel_id":
        return scid_to_text(value)
    return value.hex() if isinstance(value, bytes) else value
