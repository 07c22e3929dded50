"""Sets of feature bits, from friends and from strangers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.features import FEATURES, NAMED_ONLY, Features, long_name

BITS = st.sets(st.integers(0, 600))


@given(BITS)
def test_bits_round_trip(bits: set[int]) -> None:
    features = Features.of(bits)
    assert set(features.bits()) == bits
    assert all(features.has(bit) == (bit in bits) for bit in range(610))
    assert Features(features.to_bytes()) == features
    assert len(features.names()) == len(bits)


@pytest.mark.bolt("B1-24")
@given(st.binary(max_size=40))
def test_bytes_are_minimal(data: bytes) -> None:
    features = Features(data)
    assert features.to_bytes() == data.lstrip(b"\0")
    assert hash(features) == hash(Features(b"\0" + data))


@pytest.mark.bolt("B1-27")
@given(BITS, BITS)
def test_union(left: set[int], right: set[int]) -> None:
    assert Features.of(left) | Features.of(right) == Features.of(left | right)


@pytest.mark.bolt("B1-28")
@given(BITS)
def test_unknown_even_is_the_lowest_required_one_without_a_name(bits: set[int]) -> None:
    known = {feature.bit for feature in FEATURES}
    unknown = sorted(bit for bit in bits if bit % 2 == 0 and bit not in known)
    assert Features.of(bits).unknown_even() == (unknown[0] if unknown else None)


@pytest.mark.bolt("B1-28")
@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_named_feature_may_be_required(feature: object) -> None:
    assert Features.of([getattr(feature, "bit", -1)]).unknown_even() is None


@pytest.mark.bolt("B1-28")
@pytest.mark.parametrize("bit", [2, 20, 66, 70, 72, 74])
def test_a_name_alone_does_not_make_a_feature_known(bit: int) -> None:
    features = Features.of([bit])
    assert features.unknown_even() == bit
    assert [name.startswith("option_unknown") for name in features.names()] == [False]
    assert Features.of([bit + 1]).unknown_even() is None


def test_names_are_written_as_cln_does() -> None:
    names = [
        "option_data_loss_protect/even",
        "option_keysend/odd",
        "option_unknown_998/odd",
        "option_unknown_1000/even",
    ]
    assert Features.of([0, 55, 999, 1000]).names() == names
    assert Features.of([0, 55, 999, 1000]).names(2) == names[:2]


def test_both_spellings_of_a_name_are_known() -> None:
    assert not {feature.bit for feature in FEATURES} & {feature.bit for feature in NAMED_ONLY}
    for feature in FEATURES:
        features = Features.of([feature.bit + 1])
        assert features.offers(feature.name)
        assert features.offers(long_name(feature))
        assert not features.requires(feature.name)
    with pytest.raises(KeyError):
        Features().offers("option_of_ours")


def test_65535_bytes_of_features_take_no_time() -> None:
    everything = Features(b"\xff" * 65535)
    assert everything.unknown_even() == 2
    assert everything.missing_dependency() is None
    assert everything | Features() == everything
    assert Features(b"\x01" + bytes(65534)).unknown_even() == 8 * 65534
    assert sum(1 for _ in everything.bits()) == 8 * 65535
    assert Features(bytes(65535)).to_bytes() == b""


def test_nothing_is_set_in_nothing() -> None:
    nothing = Features()
    assert not nothing.has(0)
    assert nothing.names() == []
    assert nothing.unknown_even() is None
    assert repr(nothing) == "Features('')"
    assert nothing != b""
