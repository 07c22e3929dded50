"""The feed of many: in the order of times, held until its messages have come, bounded."""

import pytest

from lightningd_py.observatory.live import feed
from lightningd_py.observatory.live.feed import HELD, NatsFeed
from tests.gossipd.messages import announcement, update
from tests.lightningd_py.observatory.live.made import T0, arrivals, texts
from wire.bus.feed import TOPICS, FeedMessage, Gossip


def test_order_and_texts() -> None:
    heard: list[tuple[FeedMessage, int]] = []
    now = [0.0]
    made = NatsFeed(lambda message, lost: heard.append((message, lost)), TOPICS, lambda: now[0])
    assert made.tables == ["arrivals", "map", "peers", "messages"]
    made.take(arrivals("east", update(1), update(2), at=T0 + 10, lost=3))
    now[0] = HELD / 2
    made.take(arrivals("west", update(1), at=T0))
    made.take(texts("east", update(1)))
    made.turn()
    assert not heard
    now[0] = 2 * HELD
    made.turn()
    assert [(message.vantage, lost) for message, lost in heard] == [("west", 0), ("east", 3), ("east", 0)]
    assert [isinstance(message, Gossip) and bool(message.raw) for message, _ in heard] == [True, True, False]


def test_loss_is_told_with_the_next_wanted_message() -> None:
    heard: list[tuple[str, int]] = []
    now = [0.0]
    made = NatsFeed(
        lambda message, lost: heard.append((message.vantage, lost)), {"gossip.channel_update"}, lambda: now[0]
    )
    made.take(arrivals("east", announcement(1), lost=3))
    made.take(arrivals("east", announcement(2), lost=2))
    now[0] += HELD
    made.turn()
    assert not heard, "not wanted"
    made.take(arrivals("west", update(1)))
    made.take(arrivals("east", update(1), update(2), lost=1))
    now[0] += HELD
    made.turn()
    assert sorted(heard) == [("east", 0), ("east", 6), ("west", 0)]


def test_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[FeedMessage] = []
    made = NatsFeed(lambda message, _: heard.append(message), TOPICS, lambda: 0.0)
    one = arrivals("east", update(1))
    monkeypatch.setattr(feed, "MOST_HELD_BYTES", 3 * one.rows.nbytes)
    for _ in range(5):
        made.take(one)
    assert len(heard) == 2


def test_tables_that_are_needed() -> None:
    assert NatsFeed(lambda *_: None, {"gossip.channel_update"}).tables == ["arrivals", "messages"]


def test_what_waits_is_bounded() -> None:
    heard: list[FeedMessage] = []
    made = NatsFeed(lambda message, _: heard.append(message), TOPICS, lambda: 0.0)
    for _ in range(feed.MOST_HELD + 5):
        made.take(arrivals("east", update(1)))
    assert len(heard) == 5
