"""Numbers and credit: a gap, more than the credit, and credit that comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectd.connectiond.shared import CreditError, Receiving, Sending
from wire.bus.bus_wire import MAX_CREDIT


@given(st.integers(1, 50), st.lists(st.integers(0, 20)))
def test_two_ends_agree(window: int, delays: list[int]) -> None:
    """Whatever the receiver has dealt with when, the sender has room for exactly what is free."""
    sending, receiving = Sending(window), Receiving(window)
    waiting = 0
    for delay in delays:
        while sending.credit:
            receiving.take(sending.next())
            waiting += 1
        done = min(delay, waiting)
        waiting -= done
        if done:
            sending.give(receiving.done(done))
    if waiting == window:
        with pytest.raises(CreditError, match="without credit"):
            receiving.take(sending.seq + 1)


@pytest.mark.parametrize("window", [1, 2, 3, 7, 256])
def test_credit_never_runs_dry(window: int) -> None:
    """All has been dealt with: there is credit for at least half of the window, and for one message always."""
    sending, receiving = Sending(window), Receiving(window)
    for _ in range(5 * window):
        receiving.take(sending.next())
        sending.give(receiving.done(1))
        assert sending.credit > 0
        assert 2 * sending.credit >= window


@pytest.mark.parametrize("seq", [0, 1, 3, 1 << 63])
def test_gap_is_noticed(seq: int) -> None:
    receiving = Receiving(9)
    receiving.take(1)
    with pytest.raises(CreditError, match=f"seq {seq} came where 2 was due"):
        receiving.take(seq)
    receiving.take(2)


def test_more_than_the_credit_is_noticed() -> None:
    receiving = Receiving(2)
    receiving.take(1)
    receiving.take(2)
    with pytest.raises(CreditError, match="message 3 came without credit"):
        receiving.take(3)
    assert receiving.done(2) == 2
    receiving.take(3)


def test_nobody_gives_credit_without_end() -> None:
    sending = Sending(0)
    sending.give(MAX_CREDIT)
    with pytest.raises(CreditError, match="too much"):
        sending.give(1)
    assert sending.credit == MAX_CREDIT
