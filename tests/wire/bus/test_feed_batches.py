"""Batches of the feed: what they bring, who takes them, and that nothing else comes of any bytes."""

import contextlib

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.bus.feed import GOSSIP_TOPICS, MAP_UPDATE, PEER_PING, SENT_TOPICS, TOPICS, FeedError, encode
from wire.bus.feed_batches import Unreadable, batched_topics_of, batches_for, complete, opened

COMMON = {"v": 1, "vantage": "here", "epoch": 7}
OF_BATCH = {"seq": 99, "time_ns": 98}


def batch(*messages: tuple[str, dict[str, object]]) -> bytes:
    return bytes(msgpack.packb(COMMON | OF_BATCH | {"messages": messages}))


def test_each_message_of_a_batch_has_what_all_have() -> None:
    body = batch(("map.a", {"seq": 1, "time_ns": 2}), ("map.b", {"seq": 5, "time_ns": 6, "why": "spent"}))
    assert list(opened(b"batch.map", body)) == [
        ("map.a", COMMON | {"seq": 1, "time_ns": 2}),
        ("map.b", COMMON | {"seq": 5, "time_ns": 6, "why": "spent"}),
    ]


def test_a_message_that_comes_alone_is_as_it_is() -> None:
    body = encode(3, 4, {"why": "spent"})
    assert list(opened(b"map.a", body)) == [("map.a", {"v": 1, "seq": 3, "time_ns": 4, "why": "spent"})]


def test_another_version_is_not_read() -> None:
    with pytest.raises(FeedError, match="speaks version 2") as refused:
        list(opened(b"batch.map", msgpack.packb(COMMON | {"v": 2, "messages": []})))
    assert not isinstance(refused.value, Unreadable)


@given(topic=st.sampled_from([b"batch.map", b"map.a", b"\xff"]), body=st.binary(max_size=60))
def test_any_bytes_are_messages_or_unreadable(topic: bytes, body: bytes) -> None:
    with contextlib.suppress(FeedError):
        assert all(isinstance(values, dict) for _, values in opened(topic, body))


@pytest.mark.parametrize("messages", [None, 1, [1], [["a"]], [["a", 1]], [["a", None]], {"a": {}}])
def test_what_is_no_batch_is_unreadable(messages: object) -> None:
    with pytest.raises(Unreadable):
        list(opened(b"batch.map", msgpack.packb(COMMON | OF_BATCH | {"messages": messages})))


def test_only_what_comes_in_or_goes_out_is_completed() -> None:
    raw = b"\x01\x02" + bytes(140)
    assert complete(GOSSIP_TOPICS[2], {"raw": raw})["size"] == 142
    assert complete(SENT_TOPICS[2], {"raw": raw})["timestamp"] == 0
    assert complete(MAP_UPDATE, {"raw": raw, "timestamp": 9}) == {"raw": raw, "timestamp": 9}
    assert complete(GOSSIP_TOPICS[2], {"raw": b"\1"}) == {"raw": b"\1"}
    assert complete(GOSSIP_TOPICS[2], {"raw": raw, "hash": b"known"}) == {"raw": raw, "hash": b"known"}


def test_what_is_said_to_peers_is_taken_by_name_only() -> None:
    everything = batched_topics_of([b"batch."])
    assert everything == {topic for topic in TOPICS if topic not in SENT_TOPICS}
    assert batched_topics_of([b"batch.sent"]) == {*SENT_TOPICS}
    assert PEER_PING in batched_topics_of([b"batch.p"])


def test_who_takes_messages_singly_takes_no_batches() -> None:
    assert batched_topics_of([b"", b"b", b"gossip.", b"sent."]) == frozenset()


def test_batches_stand_for_whole_kinds() -> None:
    assert batches_for([""]) == {"batch.gossip": "gossip.", "batch.map": "map.", "batch.peer": "peer."}
    assert batches_for(["gossip.", "sent"]) == {"batch.gossip": "gossip.", "batch.sent": "sent."}
    assert batches_for(["gossip.", "map.channel_update"]) is None
