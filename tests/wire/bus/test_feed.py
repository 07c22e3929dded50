"""The feed's messages: what is one, what is refused, and keys and topics that are not known."""

import contextlib
import dataclasses

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.bus.feed import TOPICS, ChannelDying, FeedError, FeedMessage, decode, encode

KEYS_OF_ALL = sorted({field.name for kind in TOPICS.values() for field in dataclasses.fields(kind)} - {"topic"})


def test_keys_that_are_not_known_are_ignored() -> None:
    body = encode(3, 4, {"short_channel_id": 5, "deadline": 6, "colour": "green"})
    assert decode(b"map.channel_dying", body) == ChannelDying(
        topic="map.channel_dying", seq=3, time_ns=4, short_channel_id=5, deadline=6
    )


def test_a_topic_that_is_not_known_has_at_least_its_counter() -> None:
    assert decode(b"weather", encode(1, 2, {})) == FeedMessage(topic="weather", seq=1, time_ns=2)


@pytest.mark.parametrize(
    ("topic", "body"),
    [
        (b"map.channel_dying", encode(1, 2, {})),
        (b"map.channel_dying", encode(1, 2, {"short_channel_id": "1x1x1", "deadline": 6})),
        (b"map.channel_dying", b"\x93\1\2\3"),
        (b"map.channel_dying", b""),
        (b"map.channel_dying", b"\xc1"),
        (b"\xff", encode(1, 2, {})),
        (b"peer.connected", b"\x81\xa1v\x02"),
    ],
)
def test_what_is_no_message_of_a_feed_is_refused(topic: bytes, body: bytes) -> None:
    with pytest.raises(FeedError):
        decode(topic, body)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.binary(max_size=8) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


@given(topic=st.sampled_from(sorted(TOPICS)), values=st.dictionaries(st.sampled_from(KEYS_OF_ALL), ANYTHING))
def test_a_map_is_a_message_or_refused(topic: str, values: dict[str, object]) -> None:
    body = msgpack.packb({"v": 1, "seq": 1, "time_ns": 2, **values})
    with contextlib.suppress(FeedError):
        message = decode(topic.encode(), body)
        for field in dataclasses.fields(message)[1:]:
            assert getattr(message, field.name) == {"seq": 1, "time_ns": 2, **values}[field.name]


@given(topic=st.binary(max_size=40), body=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(topic: bytes, body: bytes) -> None:
    with contextlib.suppress(FeedError):
        assert decode(topic, body).topic == topic.decode()
