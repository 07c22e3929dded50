"""The cursor: integers, fences, and that nothing reads past either."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.cursor import MAX_RECORDS, Cursor, WireError, encode_bigsize, encode_truncated, read_tlvs, write_tlvs


@pytest.mark.bolt("B1-2")
def test_integers_are_big_endian() -> None:
    cursor = Cursor(bytes(range(1, 16)))
    assert (cursor.u8(), cursor.u16(), cursor.u32(), cursor.u64()) == (1, 0x0203, 0x04050607, 0x08090A0B0C0D0E0F)
    assert cursor.remaining == 0


@given(st.binary(max_size=20), st.integers(0, 30))
def test_take_gives_so_many_bytes_or_nothing(data: bytes, size: int) -> None:
    cursor = Cursor(memoryview(data))
    if size > len(data):
        with pytest.raises(WireError, match="wanted"):
            cursor.take(size)
        assert cursor.remaining == len(data)
    else:
        assert cursor.take(size) + cursor.rest() == data


@pytest.mark.bolt("B1-16")
@given(st.integers(0, 2**64 - 1))
def test_bigsize_round_trip(value: int) -> None:
    encoded = encode_bigsize(value)
    cursor = Cursor(encoded)
    assert cursor.bigsize() == value
    assert cursor.remaining == 0


@pytest.mark.bolt("B1-10", "B1-16")
@given(st.binary(min_size=1, max_size=9))
def test_bigsize_has_one_encoding(data: bytes) -> None:
    cursor = Cursor(data)
    try:
        value = cursor.bigsize()
    except WireError:
        return
    assert encode_bigsize(value) + cursor.rest() == data


@pytest.mark.bolt("B1-19")
@given(st.binary(max_size=9))
def test_truncated_integers_have_one_encoding(data: bytes) -> None:
    try:
        value = Cursor(data).tu64()
    except WireError:
        assert len(data) > 8 or data[0] == 0
    else:
        assert encode_truncated(value) == data


@pytest.mark.parametrize(
    ("encode", "value"),
    [(encode_bigsize, -1), (encode_bigsize, 2**64), (encode_truncated, -1), (encode_truncated, 2**64)],
)
def test_what_does_not_fit_is_not_written(encode: Callable[[int], bytes], value: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode(value)


def test_a_fence_holds_on_both_sides() -> None:
    cursor = Cursor(b"abcdef")
    with cursor.limit(3):
        assert cursor.remaining == 3
        with pytest.raises(WireError, match="wanted"):
            cursor.take(4)
        with cursor.limit(2):
            assert cursor.rest() == b"ab"
        assert cursor.rest() == b"c"
    assert cursor.rest() == b"def"


@pytest.mark.bolt("B1-12")
def test_bytes_left_before_a_fence_are_an_error() -> None:
    cursor = Cursor(b"abc")
    with pytest.raises(WireError, match="1 bytes too many in a field of 2"), cursor.limit(2):
        cursor.u8()


@pytest.mark.bolt("B1-11")
def test_a_fence_beyond_the_end_is_an_error() -> None:
    cursor = Cursor(b"abc")
    with cursor.limit(2):
        with pytest.raises(WireError, match="length 3 where 2"):
            cursor.limit(3)
        cursor.rest()


def test_an_error_inside_of_a_fence_is_the_one_that_is_seen() -> None:
    cursor = Cursor(b"abc")
    with pytest.raises(KeyError), cursor.limit(2):
        raise KeyError
    assert cursor.remaining == 3


RECORDS = st.dictionaries(st.integers(0, 2**64 - 1), st.binary(max_size=300), max_size=5)


@pytest.mark.bolt("B1-9", "B1-10", "B1-14")
@given(RECORDS)
def test_tlv_round_trip(records: dict[int, bytes]) -> None:
    stream = write_tlvs(records)
    assert read_tlvs(Cursor(stream), records) == records
    assert list(read_tlvs(Cursor(stream), records)) == sorted(records)


@pytest.mark.bolt("B1-13")
@given(RECORDS)
def test_unknown_even_tlv_types_fail(records: dict[int, bytes]) -> None:
    even = [number for number in records if number % 2 == 0]
    if even:
        with pytest.raises(WireError, match=f"unknown even TLV type {min(even)}"):
            read_tlvs(Cursor(write_tlvs(records)), ())
    else:
        assert read_tlvs(Cursor(write_tlvs(records)), ()) == records


@pytest.mark.bolt("B1-9", "B1-10", "B1-11")
@given(st.binary(max_size=60))
def test_any_bytes_of_a_tlv_stream_are_read_or_refused(data: bytes) -> None:
    try:
        records = read_tlvs(Cursor(data), range(256))
    except WireError:
        return
    assert write_tlvs(records) == data


def test_tlv_records_have_a_bound() -> None:
    many = write_tlvs({2 * number + 1: b"" for number in range(MAX_RECORDS)})
    assert len(read_tlvs(Cursor(many), ())) == MAX_RECORDS
    with pytest.raises(WireError, match="more than 100"):
        read_tlvs(Cursor(many + bytes([2 * MAX_RECORDS + 1, 0])), ())


@pytest.mark.bolt("B1-11", "B1-15")
def test_a_tlv_stream_ends_at_its_fence() -> None:
    cursor = Cursor(bytes.fromhex("010161 030162"))
    with cursor.limit(3):
        assert read_tlvs(cursor, ()) == {1: b"a"}
    assert cursor.remaining == 3
    with pytest.raises(WireError), cursor.limit(2):
        read_tlvs(cursor, ())
