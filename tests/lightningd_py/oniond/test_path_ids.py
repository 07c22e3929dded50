"""path_ids of our own paths, and everybody else's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.oniond.path_ids import MAC_SIZE, MOST_CONTEXT, PathIds, Purpose

IDS = PathIds(b"\1" * 32)
purposes = st.builds(Purpose, st.text(max_size=30).filter(lambda s: len(s.encode()) < 60), st.binary(max_size=60))


@pytest.mark.bolt("B4-123")
@given(purposes)
def test_ours_are_known_again(purpose: Purpose) -> None:
    assert IDS.open(IDS.seal(purpose)) == purpose


@pytest.mark.bolt("B4-124")
@given(st.none() | st.binary(max_size=80))
def test_what_others_have_invented_is_none_of_ours(path_id: bytes | None) -> None:
    assert IDS.open(path_id) is None


@pytest.mark.bolt("B4-124")
@given(purposes, st.data())
def test_ours_changed_by_a_bit(purpose: Purpose, data: st.DataObject) -> None:
    raw = bytearray(IDS.seal(purpose))
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    raw[bit // 8] ^= 1 << bit % 8
    assert IDS.open(bytes(raw)) is None


def test_another_secrets() -> None:
    assert PathIds(b"\2" * 32).open(IDS.seal(Purpose("shop", b"x"))) is None


def test_a_mac_over_what_we_do_not_write() -> None:
    said = b"\xffshort"
    assert IDS.open(IDS._mac(said) + said) is None
    assert IDS.open(IDS._mac(b"\1\xff") + b"\1\xff") is None


def test_a_context_has_a_size() -> None:
    assert len(IDS.seal(Purpose("shop", bytes(MOST_CONTEXT)))) == MAC_SIZE + 5 + MOST_CONTEXT
    with pytest.raises(ValueError, match="128 bytes"):
        IDS.seal(Purpose("shop", bytes(MOST_CONTEXT + 1)))
