"""The file of gossip v2 without the disk: round trips, damage, and what counts in the end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gossipd.v2.v2_inside import GOSSIP
from tests.wire.gossip_v2.kept_messages import key_of
from wire.gossip_v2.kept import BEGINNING, Record, latest, pack, unpack
from wire.gossip_v2.records import read_records

RECORDS = st.builds(
    Record,
    st.binary(min_size=8, max_size=33),
    st.binary(min_size=1, max_size=300),
    st.text(max_size=40, alphabet=st.characters(min_codepoint=32, max_codepoint=126)),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
GONE = st.binary(min_size=8, max_size=33).map(Record)


def content(*records: Record) -> bytes:
    return BEGINNING + b"".join(map(pack, records))


@given(st.lists(RECORDS | GONE, max_size=5))
def test_round_trip(records: list[Record]) -> None:
    assert list(unpack(content(*records))) == records


@given(st.lists(RECORDS, min_size=1, max_size=3), st.data())
def test_cut_or_damaged(records: list[Record], data: st.DataObject) -> None:
    """What stands before the damage is read, nothing behind it."""
    whole = content(*records)
    at = data.draw(st.integers(len(BEGINNING), len(whole) - 1))
    good = [each for number, each in enumerate(records) if len(content(*records[: number + 1])) <= at]
    assert list(unpack(whole[:at])) == good
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    assert list(unpack(bytes(damaged)))[: len(good)] == good


@pytest.mark.parametrize("beginning", [b"", b"x", BEGINNING[:-1], b"another file" * 9])
def test_another_file(beginning: bytes) -> None:
    assert list(unpack(beginning)) == []


def test_the_last_of_a_key_counts() -> None:
    a, b = b"a" * 8, b"b" * 8
    records = [Record(a, b"1"), Record(b, b"2"), Record(a, b"3"), Record(b), Record(b, b"4"), Record(b"c" * 8)]
    assert list(latest(content(*records)).values()) == [records[2], records[4]]
    assert latest(content(*records[:4])) == {a: records[2]}


def test_the_key_of_a_message() -> None:
    channel, node = GOSSIP.channel(1), GOSSIP.node_announcement(2, 77)
    scid = read_records(channel.announcement)[4]
    assert key_of(channel.announcement) == (scid, 0)
    assert key_of(GOSSIP.update(1, 1, 99)) == (b"\1" + scid, 99)
    assert key_of(node) == (read_records(node)[4], 77)
