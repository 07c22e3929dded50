"""The codecs that no message of BOLT 1 and 7 exercises, and what they refuse to write."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.cursor import Cursor, WireError
from wire.types import S8, S64, U16, BigSize, Codec, Point, SciddirOrPubkey, Sha256, Tu16, Tu32, Tu64


def codec(hint: Any) -> Codec:
    found = hint.__metadata__[0]
    assert isinstance(found, Codec)
    return found


@pytest.mark.bolt("B1-19")
@given(
    st.tuples(st.integers(0, 1), st.binary(min_size=8, max_size=8))
    | st.tuples(st.integers(2, 3), st.binary(min_size=32, max_size=32))
)
def test_sciddir_or_pubkey_round_trip(value: tuple[int, bytes]) -> None:
    data = bytes([value[0]]) + value[1]
    cursor = Cursor(data + b"next")
    assert codec(SciddirOrPubkey).read(cursor) == codec(SciddirOrPubkey).write(data) == data
    assert cursor.rest() == b"next"


@pytest.mark.bolt("B1-19")
@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\1" * 33, b"\2" * 9, b"\4" * 33])
def test_sciddir_or_pubkey_has_two_forms(data: bytes) -> None:
    with pytest.raises(ValueError, match="no sciddir_or_pubkey"):
        codec(SciddirOrPubkey).write(data)


@pytest.mark.bolt("B1-19")
@pytest.mark.parametrize("data", [b"", b"\0" * 8, b"\2" * 32, b"\4" * 33])
def test_sciddir_or_pubkey_that_is_none(data: bytes) -> None:
    with pytest.raises(WireError):
        codec(SciddirOrPubkey).read(Cursor(data))


@pytest.mark.bolt("B1-19")
@pytest.mark.parametrize(("hint", "size"), [(Tu16, 2), (Tu32, 4), (Tu64, 8)])
def test_truncated_integers_have_their_size(hint: Any, size: int) -> None:
    most = 256**size - 1
    assert codec(hint).read(Cursor(codec(hint).write(most))) == most
    assert codec(hint).write(0) == b""
    with pytest.raises(ValueError, match="does not fit"):
        codec(hint).write(most + 1)
    with pytest.raises(WireError, match="at most"):
        codec(hint).read(Cursor(b"\1" * (size + 1)))


@pytest.mark.parametrize(
    ("hint", "value"),
    [(S8, 128), (S8, -129), (S64, 2**63), (U16, 65536), (U16, -1), (BigSize, 2**64), (Point, bytes(32)), (Sha256, b"")],
)
def test_what_does_not_fit_is_not_written(hint: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"fit|must be"):
        codec(hint).write(value)
