"""Axes: round labels, few of them, and all within."""

from hypothesis import given
from hypothesis import strategies as st

from lightningd_py.plots.axes import Axis, clock, counts, decades


def check(axis: Axis) -> None:
    places = [axis.place(value) for value, _ in axis.ticks]
    assert places == sorted(places) and 1 <= len(places) <= 13
    assert axis.low < axis.high and len({label for _, label in axis.ticks}) == len(places)


@given(st.floats(0, 1e15))
def test_counts(high: float) -> None:
    axis = counts(high, str)
    check(axis)
    assert axis.high >= high and axis.ticks[0][0] == 0
    assert high < 1e-6 or axis.high <= 2 * high, "half of it is used"


@given(st.integers(0, 10**7), st.integers(1, 10**7))
def test_counts_from_a_low(low: int, more: int) -> None:
    axis = counts(low + more, low=low)
    check(axis)
    assert axis.low <= low and low + more <= axis.high and axis.high - axis.low <= 3 * more
    assert all(float(value).is_integer() for value, _ in axis.ticks), "there is no half of a channel"


@given(st.integers(1, 10**10), st.integers(0, 10**10))
def test_decades(low: int, more: int) -> None:
    axis = decades(low, low + more, str)
    check(axis)
    assert axis.low <= low and low + more <= axis.high * 1.000001
    assert axis.place(0) == 0


@given(st.integers(0, 4_000_000_000), st.integers(0, 100_000_000))
def test_clock(since: int, length: int) -> None:
    axis = clock(since, since + length)
    assert len(axis.ticks) <= 9
    assert all(since <= value <= axis.high for value, _ in axis.ticks)


def test_times_and_dates() -> None:
    assert [label for _, label in clock(0, 86_400).ticks][:2] == ["00:00", "03:00"]
    assert [label for _, label in clock(0, 30 * 86_400).ticks][1] == "1970-01-08"
