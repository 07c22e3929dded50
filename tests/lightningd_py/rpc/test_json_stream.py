"""Splitting a stream of JSON objects, and CLN's filter."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.rpc.json_stream import JsonSplitter, Number, ParseError, TooLarge, parse_json

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


# what CLN's parser takes


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        # as CLN's own lightning-cli says `connect ID 127.0.0.1 9735`, `ban 10.0.0.1`, `signmessage 1.50`
        ('["02ab", 127.0.0.1, 9735] ', ["02ab", "127.0.0.1", 9735]),
        ("[10.0.0.1] ", ["10.0.0.1"]),
        ('{ "who" : 10.0.0.1} ', {"who": "10.0.0.1"}),
        ("[1.50] ", ["1.50"]),
        ("[007] ", ["007"]),
        ("[-0] ", ["-0"]),
        ("[1.] ", ["1."]),
        ("[..] ", None),
        ("[true, false, null]", [True, False, None]),
        ("[truly, fal.se]", ["truly", "fal.se"]),
        ('["a\nb\tc", 1.2.3]', ["a\nb\tc", "1.2.3"]),
        ('["quoted \\"1.2.3\\", [1.2.3]", 1.2.3]', ['quoted "1.2.3", [1.2.3]', "1.2.3"]),
        ("[nul\u00e9]", ["nul\u00e9"]),
        ("[0x10]", ["0x10"]),
        ("[ab.cd]", None),
        ("[127.0.0.1 2]", None),
        ("[NaN, 1.2.3]", None),
    ],
)
def test_bare_words(said: str, heard: Any) -> None:
    if heard is None:
        with pytest.raises(ParseError):
            parse_json(said.encode())
    else:
        assert parse_json(said.encode()) == heard


@pytest.mark.parametrize("text", ["1.50", "0.10", "-0", "1e999", "-1E+5", "9" * 21, "9" * 10_000])
def test_a_number_stays_as_it_was_written(text: str) -> None:
    (number,) = parse_json(f"[{text}]".encode())
    assert (type(number), number) == (Number, text)


@given(st.integers(-(10**18), 10**18))
def test_usual_integers_are_integers(number: int) -> None:
    assert parse_json(f"[{number}]".encode()) == [number]


@pytest.mark.parametrize("piece", [b'["\xed\xa0\x80"]', b'["\xff"]', '["\u1234"]'.encode("utf-16")])
def test_what_is_no_utf_8(piece: bytes) -> None:
    with pytest.raises(ParseError):
        parse_json(piece)
