"""What is said on the feed, and what is not even made: Feed and Ingest without processes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import gossipd.feed
import gossipd.publish.packing
from gossipd.chain import unspend
from gossipd.feed import Feed
from gossipd.map import loading
from gossipd.verdict import REASONS, PeerFault, Verdict
from tests.gossipd.bench import TELLER, Bench
from tests.gossipd.gossipd_process import peer_info
from tests.gossipd.messages import KEYS, NOW, announcement, node_announcement, scid, spoilt, update
from wire.bus.feed import (
    CHANNEL_DYING,
    GOSSIP_TOPICS,
    PEER_DISCONNECTED,
    TOPICS,
    ChannelDying,
    ChannelRemoved,
    FeedMessage,
    Gossip,
    MapChannel,
    MapNode,
    MapUpdate,
    NodeRemoved,
    Outcome,
    decode,
)

LATER = 1_700_000_000_000_000_000


class Listener:
    """What a subscriber gets. The feed's epoch is LATER + 1."""

    def __init__(self) -> None:
        self.now_ns = LATER
        self.feed = Feed(lambda topic, body: self.heard.append(decode(topic, body)), self._tick, "a name")
        self.feed.sender_of = lambda conn_id: peer_info(conn_id) if conn_id else None
        self.heard: list[FeedMessage] = []

    def _tick(self) -> int:
        self.now_ns += 1
        return self.now_ns

    def outcomes(self) -> list[tuple[str, str]]:
        """(outcome, reason) of the arrivals, in order."""
        return [(message.outcome, message.reason) for message in self.heard if isinstance(message, Gossip)]

    def changes(self) -> list[FeedMessage]:
        """Of the map."""
        return [message for message in self.heard if message.topic.startswith("map.")]


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def intake(tmp_path: Path, listener: Listener) -> Iterator[Bench]:
    """An Ingest over an empty map, with a feed of which everything is taken."""
    listener.feed.subscribed(b"", wanted=True)
    path = tmp_path / "gossip_store"
    intake = Bench(path, *loading.load(path), feed=listener.feed)
    yield intake
    intake.store.close()


# who takes what


@pytest.mark.parametrize(
    ("prefix", "topics"),
    [
        (b"", len(TOPICS) - 3),
        (b"s", 0),
        (b"sent.", 3),
        (b"sent.channel_update", 1),
        (b"gossip.", 7),
        (b"map.channel_", 4),
        (b"peer.connected", 1),
        (b"gossip.channel_update", 2),
        (b"gossip.channel_update_2", 1),
        (b"gossip.channel_update.", 0),
        (b"\xff", 0),
    ],
)
def test_a_prefix_takes_the_topics_that_begin_with_it(listener: Listener, prefix: bytes, topics: int) -> None:
    listener.feed.subscribed(prefix, wanted=True)
    assert listener.feed.topics_taken == topics
    listener.feed.subscribed(prefix, wanted=False)
    assert listener.feed.topics_taken == 0


def test_rubbish_subscriptions_do_not_pile_up(listener: Listener) -> None:
    for number in range(1_000):
        listener.feed.subscribed(b"no such topic %d" % number, wanted=True)
    assert not listener.feed._prefixes


def test_flags_follow_what_is_taken(listener: Listener) -> None:
    feed = listener.feed
    assert not feed.gossip
    assert not feed.map
    feed.subscribed(b"gossip.node", wanted=True)
    feed.subscribed(b"peer.", wanted=True)
    assert feed.gossip
    assert not feed.map
    feed.subscribed(b"map.", wanted=True)
    feed.subscribed(b"gossip.node", wanted=False)
    assert not feed.gossip
    assert feed.map


def test_nothing_is_encoded_or_timed_without_a_subscriber(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_be_called(*_: object, **__: object) -> None:
        raise AssertionError

    for name in ("say", "arrived", "refused", "settled", "_say_arrival"):
        monkeypatch.setattr(gossipd.feed.Feed, name, must_not_be_called)
    bench.take(announcement(), update(), update(0, 1), node_announcement(), node_announcement(1), update())
    bench.take(spoilt(update(0, 0, NOW + 1), 3))
    with pytest.raises(PeerFault):
        bench.ingest.receive(b"\1\2", TELLER)
    assert len(bench.index.channels) == 1
    assert bench.forgetting.prune([scid(0)]) == 1


def test_what_nobody_takes_is_not_encoded(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    listener.feed.subscribed(b"gossip.channel_update", wanted=True)
    for name in ("encode", "head", "message"):
        monkeypatch.setattr(gossipd.publish.packing.Packing, name, lambda *_: pytest.fail("packed"))
    listener.feed.arrived(announcement(), TELLER, Verdict.REDUNDANT)
    listener.feed.arrived(announcement(), TELLER, Verdict.CHECKING)
    listener.feed.settled(announcement(), Outcome.NEW)
    listener.feed.say(CHANNEL_DYING, short_channel_id=1, deadline=2)
    assert listener.heard == []
    assert listener.now_ns == LATER + 1, "only when the epoch began was it asked for the time"


# counting


def test_each_topic_counts_from_one(listener: Listener) -> None:
    listener.feed.subscribed(b"gossip.", wanted=True)
    for message in (update(), update(), announcement(), update()):
        listener.feed.arrived(message, TELLER, Verdict.REDUNDANT)
    assert [(message.topic, message.seq) for message in listener.heard] == [
        (GOSSIP_TOPICS[2], 1),
        (GOSSIP_TOPICS[2], 2),
        (GOSSIP_TOPICS[0], 1),
        (GOSSIP_TOPICS[2], 3),
    ]


def test_a_subscriber_that_comes_back_sees_a_gap(listener: Listener) -> None:
    feed = listener.feed
    feed.subscribed(b"peer.", wanted=True)
    gone = {"node_id": KEYS[0][1], "conn_id": 1, "reason": "why not"}
    feed.say(PEER_DISCONNECTED, **gone)
    feed.subscribed(b"peer.", wanted=False)
    feed.say(PEER_DISCONNECTED, **gone)
    feed.subscribed(b"peer.", wanted=True)
    feed.say(PEER_DISCONNECTED, **gone)
    feed.subscribed(b"", wanted=True)  # a second subscriber changes nothing for the first
    feed.say(PEER_DISCONNECTED, **gone)
    assert [message.seq for message in listener.heard] == [1, 3, 4]


# arrivals


def test_an_arrival_says_who_when_and_what(listener: Listener, intake: Bench) -> None:
    message = announcement()
    intake.ingest.receive(message, TELLER)
    assert listener.heard == []
    arrived_at = listener.now_ns
    intake.signatures.run()
    assert listener.heard[0] == Gossip(
        topic="gossip.channel_announcement",
        seq=1,
        time_ns=arrived_at,
        node_id=peer_info(TELLER).node_id,
        conn_id=TELLER,
        incoming=True,
        outcome="new",
        reason="",
        phase="live",
        raw=message,
        vantage="a name",
        epoch=LATER + 1,
        type=256,
        size=len(message),
        hash=hashlib.sha256(message).digest(),
        inner_hash=hashlib.sha256(message[:2] + message[258:]).digest(),
        short_channel_id=scid(0),
    )


def test_what_is_our_own_comes_from_nobody(listener: Listener, intake: Bench) -> None:
    intake.ingest.receive(announcement(), 0)
    intake.signatures.run()
    (said,) = listener.heard
    assert isinstance(said, Gossip)
    assert (said.node_id, said.conn_id, said.incoming) == (None, None, None)


def test_each_message_is_said_once_with_what_became_of_it(listener: Listener, intake: Bench) -> None:
    said: list[bytes] = [announcement(), update(), update(0, 1), update(), node_announcement(), update(7)]
    said += [node_announcement(5), update(0, 0, NOW + 90_000), spoilt(update(0, 0, NOW + 1), 3)]
    for message in said:
        intake.ingest.receive(message, TELLER)
        intake.signatures.run()
    refused = spoilt(update(0, 0, NOW + 1), 3)
    intake.ingest.receive(refused, TELLER)
    arrivals = [message for message in listener.heard if isinstance(message, Gossip)]
    assert [message.raw for message in arrivals] == [*said, refused]
    assert [(message.outcome, message.reason) for message in arrivals] == [
        ("new", ""),
        ("new", ""),
        ("new", ""),
        ("redundant", ""),
        ("new", ""),
        ("rejected", "its channel is not known"),
        ("waiting", "for a channel of its node"),
        ("rejected", "its timestamp is more than a day ahead"),
        ("rejected", "channel_update 100x1x0/0: bad signature"),
        ("rejected", "its signature is wrong"),
    ]


def test_what_is_malformed_is_said_with_the_fault(listener: Listener, intake: Bench) -> None:
    for message in (b"\1\0", b"\1\1abc", b"\1\2abc"):
        with pytest.raises(PeerFault):
            intake.ingest.receive(message, TELLER)
    assert listener.outcomes() == [
        ("rejected", "channel_announcement is too short"),
        ("rejected", "node_announcement is too short"),
        ("rejected", "channel_update is too short"),
    ]


def test_what_waits_for_its_output_is_said_at_once(listener: Listener, intake: Bench) -> None:
    intake.outputs.at_once = False
    intake.take(announcement(), update())
    intake.take(announcement(1))
    assert listener.outcomes() == [
        ("waiting", "for its funding output"),
        ("waiting", "for the announcement of its channel"),
        ("waiting", "for its funding output"),
    ]
    assert listener.changes() == []
    (found, _), (_, wrong) = intake.outputs.answers
    found(5_000)
    wrong("its output is spent")
    intake.signatures.run()
    channel, first = listener.changes()
    assert (type(channel), type(first)) == (MapChannel, MapUpdate)
    assert len(listener.outcomes()) == 3


def test_an_update_too_many_is_rate_limited(listener: Listener, intake: Bench) -> None:
    intake.take(announcement())
    for age in range(40, 0, -1):
        intake.take(update(0, 0, NOW - age, cltv_expiry_delta=age))
    assert listener.outcomes()[-1] == ("rate-limited", "its channel updates too often")
    assert sum(outcome == "rate-limited" for outcome, _ in listener.outcomes()) == len(intake.too_often)


def test_what_finds_no_room_is_owed(listener: Listener, intake: Bench) -> None:
    intake.ingest.checks.suspended = True
    intake.ingest.receive(announcement(), TELLER)
    assert listener.outcomes() == [("owed", "there is no room for it at the moment")]


def test_who_leaves_while_signatures_are_checked_leaves_nothing_behind(listener: Listener, intake: Bench) -> None:
    intake.ingest.receive(announcement(), TELLER)
    listener.feed.subscribed(b"", wanted=False)
    assert not listener.feed._arrivals
    intake.signatures.run()
    assert listener.heard == []


def test_an_arrival_before_the_subscription_is_not_said(listener: Listener, intake: Bench) -> None:
    listener.feed.subscribed(b"", wanted=False)
    intake.ingest.receive(announcement(), TELLER)
    listener.feed.subscribed(b"gossip.", wanted=True)
    intake.signatures.run()
    assert listener.heard == []


def test_every_verdict_has_an_outcome_and_every_refusal_a_reason() -> None:
    for verdict in set(Verdict) - {Verdict.CHECKING}:
        outcome = gossipd.feed.outcome_of(verdict)
        assert (verdict in REASONS) == (outcome is not Outcome.REDUNDANT)


# the map


def test_what_is_put_on_the_map_is_said_with_its_fields(listener: Listener, intake: Bench) -> None:
    intake.take(announcement(), update(), node_announcement())
    channel, first, node = listener.changes()
    assert isinstance(channel, MapChannel)
    assert (channel.short_channel_id, channel.amount_sat, channel.raw) == (scid(0), 1_000, announcement())
    assert isinstance(first, MapUpdate)
    assert (first.short_channel_id, first.direction, first.timestamp) == (scid(0), 0, NOW)
    assert isinstance(node, MapNode)
    assert (node.node_id, node.timestamp) == (KEYS[0][1], NOW)


def test_a_spent_channel_is_dying_and_then_goes_with_its_nodes(listener: Listener, intake: Bench) -> None:
    intake.take(announcement(), update())
    listener.heard.clear()
    intake.forgetting.spend([scid(0)], 500)
    intake.forgetting.block(571)
    (dying,) = listener.heard
    assert isinstance(dying, ChannelDying)
    assert (dying.short_channel_id, dying.deadline) == (scid(0), 572)
    intake.forgetting.block(572)
    removed, one, two = listener.heard[1:]
    assert isinstance(removed, ChannelRemoved)
    assert (removed.short_channel_id, removed.why) == (scid(0), "spent")
    assert isinstance(one, NodeRemoved)
    assert isinstance(two, NodeRemoved)
    assert {one.node_id, two.node_id} == {KEYS[0][1], KEYS[1][1]}


def test_a_pruned_channel_goes_and_its_nodes_stay_with_another_one(listener: Listener, intake: Bench) -> None:
    intake.take(announcement(), update(), announcement(1), update(1))
    listener.heard.clear()
    intake.forgetting.prune([scid(0)])
    (removed,) = listener.heard
    assert isinstance(removed, ChannelRemoved)
    assert removed.why == "pruned"


def test_a_channel_that_is_unspent_is_written_again(listener: Listener, intake: Bench) -> None:
    intake.take(announcement(), update())
    intake.forgetting.spend([scid(0)], 500)
    listener.heard.clear()
    assert unspend(intake.store, intake.index, intake.forgetting, [scid(0)]) == 1
    kinds = [ChannelRemoved, NodeRemoved, NodeRemoved, MapChannel, MapUpdate]
    assert [type(message) for message in listener.heard] == kinds
