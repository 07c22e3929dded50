"""TLV streams. The spec's vectors are in tests/bolts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.cursor import MAX_RECORDS, Cursor, WireError, read_tlvs, write_tlvs

RECORDS = st.dictionaries(st.integers(0, 2**64 - 1), st.binary(max_size=300), max_size=5)


@pytest.mark.bolt("B1-9", "B1-10", "B1-14")
@given(RECORDS)
def test_round_trip(records: dict[int, bytes]) -> None:
    stream = write_tlvs(records)
    assert read_tlvs(Cursor(stream), records) == records
    assert list(read_tlvs(Cursor(stream), records)) == sorted(records)


@pytest.mark.bolt("B1-13")
@given(RECORDS)
def test_unknown_even_types_fail(records: dict[int, bytes]) -> None:
    even = [number for number in records if number % 2 == 0]
    if even:
        with pytest.raises(WireError, match=f"unknown even TLV type {min(even)}"):
            read_tlvs(Cursor(write_tlvs(records)), ())
    else:
        assert read_tlvs(Cursor(write_tlvs(records)), ()) == records


@pytest.mark.bolt("B1-9", "B1-10", "B1-11")
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        records = read_tlvs(Cursor(data), range(256))
    except WireError:
        return
    assert write_tlvs(records) == data


def test_records_have_a_bound() -> None:
    many = write_tlvs({2 * number + 1: b"" for number in range(MAX_RECORDS)})
    assert len(read_tlvs(Cursor(many), ())) == MAX_RECORDS
    with pytest.raises(WireError, match="more than 100"):
        read_tlvs(Cursor(many + bytes([2 * MAX_RECORDS + 1, 0])), ())


@pytest.mark.bolt("B1-11", "B1-15")
def test_a_stream_ends_at_its_fence() -> None:
    cursor = Cursor(bytes.fromhex("010161 030162"))
    with cursor.limit(3):
        assert read_tlvs(cursor, ()) == {1: b"a"}
    assert cursor.remaining == 3
    with pytest.raises(WireError), cursor.limit(2):
        read_tlvs(cursor, ())
