"""How many onion messages pass, by a clock that is an argument."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.net.onion_rates import A_SECOND, BYTES_A_SECOND, MOST_BYTES, OnionRate, TokenBucket

SMALL, LARGE = 1_405, 32_873


@pytest.mark.bolt("B4-128")
def test_four_at_once_and_four_a_second() -> None:
    rate = OnionRate()
    assert [rate.take(SMALL, 100.0) for _ in range(6)] == [True] * A_SECOND + [False] * 2
    assert not rate.take(SMALL, 100.2)
    assert rate.take(SMALL, 100.3)
    passed = sum(rate.take(SMALL, 101.0 + tick / 100) for tick in range(1_000))
    assert passed in (4 * 10, 4 * 10 + 1, 4 * 10 + 2, 4 * 10 + 3)


@pytest.mark.bolt("B4-128")
def test_large_ones_are_counted_by_their_bytes() -> None:
    rate = OnionRate()
    sent = sum(LARGE for tick in range(60 * 100) if rate.take(LARGE, tick / 100))
    assert MOST_BYTES + 59 * BYTES_A_SECOND - LARGE <= sent <= MOST_BYTES + 60 * BYTES_A_SECOND


def test_what_does_not_pass_costs_nothing() -> None:
    rate = OnionRate(messages=4, size=100, burst=100)
    assert [rate.take(101, 0.0) for _ in range(10)] == [False] * 10
    assert [rate.take(25, 0.0) for _ in range(5)] == [True] * 4 + [False]


def test_low_below_a_half_of_either() -> None:
    rate = OnionRate(messages=4, size=100, burst=100)
    assert [rate.take(1, 0.0) and rate.is_low(0.0) for _ in range(4)] == [False, False, True, True]
    assert not rate.is_low(1.0)
    assert rate.take(51, 1.0)
    assert rate.is_low(1.0)


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 50)), max_size=60))
def test_never_more_than_burst_and_rate(taken: list[tuple[float, int]]) -> None:
    bucket, now, total = TokenBucket(10, 100), 5.0, 0
    for pause, amount in taken:
        now += pause
        if bucket.has(amount, now):
            bucket.take(amount)
            total += amount
    assert total <= 100 + 10 * (now - 5.0) + 1e-6
