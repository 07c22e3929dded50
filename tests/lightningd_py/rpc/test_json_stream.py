"""Splitting a stream of JSON objects, and CLN's filter."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.rpc.json_stream import JsonSplitter, ParseError, TooLarge, apply_filter, parse_json

TEXTS = st.text(max_size=6)
LEAVES = st.none() | st.booleans() | st.integers() | TEXTS
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=3)


def split(pieces: list[bytes], limit: int = 1 << 20) -> list[bytes]:
    splitter = JsonSplitter(limit)
    return [found for piece in pieces for found in splitter.feed(piece)]


@given(
    st.lists(
        st.tuples(OBJECTS, st.sampled_from([None, 1]), st.booleans(), st.sampled_from(["", " ", "\n\n", "\r\n\t"])),
        max_size=4,
    ),
    st.data(),
)
def test_however_it_is_cut_the_same_objects_come_out(
    written: list[tuple[Any, int | None, bool, str]], data: Any
) -> None:
    texts = [json.dumps(value, indent=indent, ensure_ascii=ascii_) + gap for value, indent, ascii_, gap in written]
    stream = "".join(texts).encode("utf-8", "surrogatepass")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    found = split(pieces)
    assert [json.loads(piece.decode("utf-8", "surrogatepass")) for piece in found] == [value for value, *_ in written]


@given(st.binary(max_size=200))
def test_any_bytes_are_objects_or_a_parse_error(data: bytes) -> None:
    try:
        for piece in split([data]):
            parse_json(piece)
    except ParseError:
        pass


@pytest.mark.parametrize("stream", [b"hello", b"7{}", b"}", b'"{}"', b"\0"])
def test_what_begins_with_no_bracket_is_no_request(stream: bytes) -> None:
    with pytest.raises(ParseError):
        split([stream])


@pytest.mark.parametrize("piece", [b"{]", b'{"a":NaN}', b'{"a":Infinity}', b'{"a" 1}', b'{"a":"\xff"}'])
def test_what_is_no_json_is_a_parse_error(piece: bytes) -> None:
    with pytest.raises(ParseError):
        parse_json(piece)


@pytest.mark.parametrize("bracket", [b"[", b'{"a":', b'[{"a":"[[[[",'])
def test_what_is_nested_deeply_is_a_parse_error_before_it_is_decoded(bracket: bytes) -> None:
    deepest = b'{"a":' * 100 + b"1" + b"}" * 100
    assert split([deepest]) == [deepest]
    with pytest.raises(ParseError, match="nested more than 100 deep"):
        split([bracket * 101])


def test_an_object_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert split([b'{"a":"bcd"}'[:-1], b"}"], limit=11) == [b'{"a":"bcd"}']
    with pytest.raises(TooLarge, match="over 10 bytes"):
        split([b'{"a":"bcdefg'], limit=10)


def test_many_small_objects_may_be_longer_together() -> None:
    assert len(split([b"{}" * 100], limit=10)) == 100


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"peers": [{"id": True}]}, {"peers": [{"id": 1}, {"id": 2}]}),
        ({"peers": True}, {"peers": [{"id": 1, "x": {"y": 3}}, {"id": 2}]}),
        ({"peers": [{"x": {"y": True}}]}, {"peers": [{"x": {"y": 3}}, {}]}),
        ({"nothing": True}, {}),
    ],
)
def test_a_filter_keeps_what_it_names(wanted: Any, left: Any) -> None:
    assert apply_filter({"peers": [{"id": 1, "x": {"y": 3}}, {"id": 2}], "n": 5}, wanted) == left


@pytest.mark.parametrize("wanted", [False, 1, [], "peers", {"n": {"x": True}}, {"n": [True]}])
def test_a_filter_that_does_not_fit(wanted: Any) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        apply_filter({"n": 5}, wanted)
