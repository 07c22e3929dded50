"""What an owner of connections counts."""

import pytest

from wire.metrics.tally import OTHER, Tally
from wire.net.duties import NOT_ANSWERING, NOT_READING

PING, GOSSIP_FILTER = bytes.fromhex("0012"), bytes.fromhex("0109")


def test_messages_are_counted_by_their_names() -> None:
    tally = Tally()
    for message in (PING, PING, GOSSIP_FILTER):
        tally.heard(message)
    tally.said([PING, GOSSIP_FILTER])
    assert tally.heard_types == {"ping": 2, "gossip_timestamp_filter": 1}
    assert tally.said_types == {"ping": 1, "gossip_timestamp_filter": 1}


def test_what_no_bolt_has_is_one_type_whatever_a_stranger_says() -> None:
    tally = Tally()
    for number in range(32_769, 65_536, 2):
        tally.heard(number.to_bytes(2, "big"))
    tally.heard(b"\x00")
    assert tally.heard_types == {OTHER: 16_385}


def test_a_batch_of_gossip_is_counted_as_its_messages_are() -> None:
    messages = [bytes([1, kind]) + bytes(9) for kind in (0, 2, 2, 1, 2, 8, 8, 200)]
    at_once, singly = Tally(), Tally()
    at_once.said_gossip(messages)
    at_once.said_gossip([])
    singly.said(messages)
    assert at_once.said_types == singly.said_types
    assert at_once.said_types["channel_update"] == 3 and at_once.said_types[OTHER] == 1


@pytest.mark.parametrize(
    ("reason", "counted"), [(NOT_ANSWERING, "silent"), (NOT_READING, "slow_reader"), ("a stranger's text", OTHER)]
)
def test_ends_are_counted_by_few_reasons(reason: str, counted: str) -> None:
    tally = Tally()
    tally.ended(reason)
    assert {name: count for name, count in tally.ends.items() if count} == {counted: 1}
