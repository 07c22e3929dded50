"""What gossipd is told of clients' wishes, and what it tells."""

from typing import Any

import pytest

from lightningd_py.news.gossip_news import GossipNews
from lightningd_py.news.topics import CUSTOMMSG, Topics
from wire.bus import feed
from wire.bus.feed import CHANNEL_DYING
from wire.control.control_message import ControlMessage
from wire.control.control_wire import CopyCustom, FeedSaid, TakeFeed


class Around:
    """A client that takes one topic, and a gossipd."""

    def __init__(self) -> None:
        self.topics = Topics()
        self.told: list[ControlMessage] = []
        self.heard: list[dict[str, Any]] = []
        self.news = GossipNews(self.topics, self.told.append)

    def hear(self, topic: str, event: dict[str, Any]) -> None:
        self.heard.append(event)

    def take(self, *topics: str) -> list[ControlMessage]:
        """What gossipd is told then."""
        self.topics.take(self.hear, frozenset(topics))
        told = list(self.told)
        self.told.clear()
        return told


def test_gossipd_is_told_what_is_different() -> None:
    around = Around()
    assert around.take(CHANNEL_DYING) == [TakeFeed([CHANNEL_DYING])]
    assert around.take(CHANNEL_DYING, CUSTOMMSG, "log") == [CopyCustom(wanted=True)]
    around.news.fresh_gossipd()
    assert around.take(CUSTOMMSG) == [TakeFeed([CHANNEL_DYING]), CopyCustom(wanted=True), TakeFeed([])]
    assert around.take() == [CopyCustom(wanted=False)]
    around.news.resume(frozenset({CHANNEL_DYING}))
    assert around.take(CHANNEL_DYING) == []


def test_a_message_of_the_feed_as_json() -> None:
    around = Around()
    around.take(CHANNEL_DYING)
    body = feed.encode(7, 5, {"short_channel_id": 1 << 40, "deadline": 144})
    around.news.said(FeedSaid(CHANNEL_DYING, body, 3))
    assert around.heard == [
        {"seq": 7, "time_ns": 5, "vantage": "", "epoch": 0, "short_channel_id": "1x0x0", "deadline": 144, "lost": 3}
    ]
    assert around.news.lost == 3


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x90", feed.encode(1, 2, {}), feed.encode(1, 2, {"deadline": "x"})])
def test_rubbish_of_a_gossipd_that_was_taken_over(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    around = Around()
    around.take(CHANNEL_DYING)
    around.news.said(FeedSaid(CHANNEL_DYING, body, 0))
    around.news.said(FeedSaid("connect", body, 0))
    assert around.heard == []
    assert caplog.text.count("what no one can read") == 1


@pytest.mark.parametrize("scid", [None, 103 << 40])
def test_a_message_of_no_channel_is_an_event_too(scid: int | None) -> None:
    """An announcement of a node, say."""
    around = Around()
    topic = feed.NODE_ANNOUNCEMENT
    around.take(topic)
    arrival: dict[str, Any] = dict.fromkeys(("node_id", "conn_id", "incoming"))
    arrival |= {"outcome": "new", "reason": "", "raw": b"\1\1", "short_channel_id": scid}
    around.news.said(FeedSaid(topic, feed.encode(1, 2, arrival), 0))
    (event,) = around.heard
    assert event["short_channel_id"] == (None if scid is None else "103x0x0")
