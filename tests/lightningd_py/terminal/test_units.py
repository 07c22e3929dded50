"""Numbers as people read them."""

import time

import pytest

from lightningd_py.terminal.units import amount, duration, for_people, moment, number, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (0.0354, "35ms"),
        (4.24, "4.2s"),
        (12, "12s"),
        (60, "1m"),
        (3_599, "59m 59s"),
        (3_600, "1h"),
        (3_661, "1h 1m"),
        (3_630, "1h"),
        (266_400, "3d 2h"),
        (-4.2, "-4.2s"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("msat", "text"), [(0, "0 sat"), (1, "0.001 sat"), (12_345_678, "12,345.678 sat"), (10**11, "100,000,000 sat")]
)
def test_amounts(msat: int, text: str) -> None:
    assert amount(msat) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234, "1.2 kB"),
        (999_949, "1.0 MB"),
        (123_456, "123 kB"),
        (5 * 10**15, "5.0 PB"),
        (10**19, "10000 PB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


def test_moments_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1")
    time.tzset()
    try:
        assert moment(1_700_000_000) == "2023-11-14 23:13:20"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert moment(-1) == "-1"
    assert moment(10**18) == str(10**18), "a stranger's number that is no time stays a number"


def test_fields_are_known_by_name() -> None:
    assert for_people("amount_msat", 1000) == "1 sat"
    assert for_people("store_bytes", 1000) == "1.0 kB"
    assert for_people("ping_ms", 12.3) == "12ms"
    assert for_people("conn_id", 1000) is None
    assert for_people("created", "yesterday") is None
    assert for_people("created", True) is None
    assert for_people("amount_msat", 0.5) is None
    assert number(12_345) == "12,345"
