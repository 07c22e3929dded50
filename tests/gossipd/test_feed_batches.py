"""The feed in batches: that they say the same as single messages do, when they leave, and how large they are."""

from collections.abc import Callable

import msgpack
import pytest
from hypothesis import given

from gossipd.feed import Feed
from gossipd.publish.batches import MOST_BYTES, PAUSE, Batches
from gossipd.publish.feed_socket import LARGE
from gossipd.publish.packing import Packing
from gossipd.verdict import Verdict
from tests.gossipd.bench import TELLER
from tests.gossipd.gossipd_process import peer_info
from tests.gossipd.messages import announcement, node_announcement, update
from tests.gossipd.test_feed import LATER
from tests.gossipd.test_feed_fields import RAW, unpacked
from wire.bus.feed import CHANNEL_REMOVED, GOSSIP_TOPICS, Outcome, decode, message_of
from wire.bus.feed_batches import Values, complete, opened
from wire.gossip_layout import GOSSIP_TYPES

ALL = (b"", b"sent.", b"batch.", b"batch.sent")


class Loop:
    """A clock that is told when to go on."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        self.due.append((seconds, call))

    def step(self) -> float:
        """The next one that is due, and how long it has waited."""
        seconds, call = self.due.pop(0)
        call()
        return seconds


class Subscriber:
    """Takes a feed both ways."""

    def __init__(self, *prefixes: bytes) -> None:
        self.singly: list[tuple[bytes, bytes]] = []
        self.batches: list[list[tuple[str, Values]]] = []
        self.answers: list[bytes] = []
        self.loop = Loop()
        self.feed = Feed(self._hear, lambda: LATER, "a name")
        self.feed.batches.later = self.loop.later
        self.feed.sender_of = lambda conn_id: peer_info(conn_id) if conn_id else None
        for prefix in prefixes:
            self.feed.subscribed(prefix, wanted=True)

    def _hear(self, topic: bytes, body: bytes) -> None:
        if topic.startswith(b"batch.?"):
            assert list(opened(topic, body)) == []
            self.answers.append(topic)
        elif topic.startswith(b"batch."):
            self.batches.append(list(opened(topic, body)))
        else:
            self.singly.append((topic, body))


def say_everything(feed: Feed) -> None:
    for raw in (announcement(3), node_announcement(1), update(3, 1), update(3, 1)[:90]):
        feed.arrived(raw, TELLER, Verdict.WAITING)
        feed.arrived(raw, 0, Verdict.CHECKING)
        feed.settled(raw, Outcome.REJECTED, "for once")
        feed.refused(raw, TELLER, "not wanted")
        feed.say_sent(peer_info(TELLER), [raw])
    feed.say_pong(peer_info(TELLER), "in", 7, 8)
    feed.say(CHANNEL_REMOVED, LATER + 5, short_channel_id=9, why="spent")


def test_batches_say_what_single_messages_say() -> None:
    subscriber = Subscriber(*ALL)
    say_everything(subscriber.feed)
    subscriber.feed.batches.flush()
    found = [message_of(topic, complete(topic, values)) for batch in subscriber.batches for topic, values in batch]
    expected = [decode(topic, body) for topic, body in subscriber.singly]
    assert sorted(map(str, found)) == sorted(map(str, expected))
    for kind in ("gossip.", "sent."):
        assert [each for each in found if each.topic.startswith(kind)] == [
            each for each in expected if each.topic.startswith(kind)
        ]


def test_a_batch_is_a_message_itself() -> None:
    """Who takes all, and does not know of batches, is to be able to pass over them."""
    subscriber = Subscriber(b"batch.map")
    bodies: list[tuple[bytes, bytes]] = []
    subscriber.feed.send = lambda topic, body: bodies.append((topic, body))
    for number in range(2):
        subscriber.feed.say(CHANNEL_REMOVED, short_channel_id=number, why="spent")
        subscriber.loop.step()
        subscriber.feed.batches.flush()
    subscriber.feed.subscribed(b"batch.?7", wanted=True)
    read = [decode(*frames) for frames in bodies]
    assert [(each.topic, each.seq) for each in read] == [("batch.map", 1), ("batch.map", 2), ("batch.?7", 0)]
    assert {(each.vantage, each.epoch) for each in read} == {("a name", LATER)}


def test_counters_above_32_bits() -> None:
    subscriber = Subscriber(b"batch.map")
    subscriber.feed.go_on([(CHANNEL_REMOVED, 1 << 32)])
    subscriber.feed.say(CHANNEL_REMOVED, short_channel_id=9, why="spent")
    subscriber.loop.step()
    assert subscriber.batches[0][0][1]["seq"] == (1 << 32) + 2


@given(raw=RAW)
def test_what_a_batch_leaves_out_can_be_found_out(raw: bytes) -> None:
    if int.from_bytes(raw[:2], "big") in GOSSIP_TYPES:
        assert complete("gossip.", {"raw": raw}) == unpacked(raw)


def test_who_takes_batches_gets_nothing_singly() -> None:
    subscriber = Subscriber(b"batch.")
    assert subscriber.feed.topics_taken == len(subscriber.feed._taken) > 10
    say_everything(subscriber.feed)
    subscriber.feed.batches.flush()
    assert subscriber.singly == []
    subscriber.feed.subscribed(b"batch.", wanted=False)
    assert not subscriber.feed.gossip
    assert not subscriber.feed.topics_taken


def test_a_question_is_answered_once_and_kept_nowhere() -> None:
    subscriber = Subscriber()
    before = vars(subscriber.feed)["_prefixes"].copy()
    subscriber.feed.subscribed(b"batch.?0123", wanted=True)
    subscriber.feed.subscribed(b"batch.?0123", wanted=False)
    assert subscriber.answers == [b"batch.?0123"]
    assert subscriber.feed._prefixes == before
    assert not subscriber.feed.gossip


def test_what_comes_after_a_pause_leaves_in_the_same_turn_and_the_rest_together() -> None:
    subscriber = Subscriber(b"batch.gossip")
    say = subscriber.feed.arrived
    say(update(1), TELLER, Verdict.WAITING)
    say(update(2), TELLER, Verdict.WAITING)
    assert subscriber.batches == []
    assert subscriber.loop.step() == 0.0
    assert [len(batch) for batch in subscriber.batches] == [2]
    say(update(3), TELLER, Verdict.WAITING)
    say(update(4), TELLER, Verdict.WAITING)
    assert len(subscriber.batches) == 1
    assert subscriber.loop.step() == PAUSE
    assert [len(batch) for batch in subscriber.batches] == [2, 2]
    assert subscriber.loop.step() == PAUSE  # nothing was said meanwhile
    assert (subscriber.loop.due, len(subscriber.batches)) == ([], 2)


@pytest.mark.parametrize("sizes", [[500] * 100, [MOST_BYTES, 1, 1], [10, 70_000, 10]])
def test_a_batch_is_small_enough_not_to_be_counted_unless_it_is_one_message(sizes: list[int]) -> None:
    """A subscriber's queue is bounded in ZMQ's messages."""
    sent: list[bytes] = []
    batches = Batches(
        lambda topic, body: sent.append(body), Packing("a vantage point's long name", LATER), lambda: LATER
    )
    batches.later = Loop().later
    for size in sizes:
        batches.add(GOSSIP_TOPICS[0], b"\xc6" + (size - 5).to_bytes(4, "big") + bytes(size - 5) if size > 5 else b"\1")
    batches.flush()
    assert all(len(body) < LARGE or len(msgpack.unpackb(body)["messages"]) == 1 for body in sent)
    assert len(sent) <= sum(sizes) // (MOST_BYTES - max(size for size in sizes if size < MOST_BYTES)) + 2
