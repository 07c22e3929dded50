"""Times, durations and sizes as people write them."""

import pytest

from lightningd_py.observatory.tables.times import duration, shown, shown_duration, size, time_ns

NOW = 1_790_000_000_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-09-21T14:13:20", NOW),
        ("2026-09-21 14:13:20Z", NOW),
        ("2026-09-21T16:13:20+02:00", NOW),
        ("2026-09-21", 1_789_948_800_000_000_000),
        ("1790000000", NOW),
        ("1790000000.000000001", NOW + 1),
        ("now", NOW),
        ("-2h", NOW - 7_200_000_000_000),
        (" -1.5m", NOW - 90_000_000_000),
    ],
)
def test_time(text: str, expected: int) -> None:
    assert time_ns(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "-", "-2", "yesterday", "2026-13-01", "99999999999", "-2y", "1e9", "0x10"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"is (no time|no duration|out of range)"):
        time_ns(text, NOW)


def test_durations_and_sizes() -> None:
    assert [duration(text) for text in ("90s", "1.5h", "2d", "1w")] == [90, 5400, 172_800, 604_800]
    assert [size(text) for text in ("5", "500M", "4G", "1kB")] == [5, 500 << 20, 4 << 30, 1024]
    for wrong in ("5x", "-1G", "G", "1.5G"):
        with pytest.raises(ValueError, match="is no size"):
            size(wrong)


def test_shown() -> None:
    assert shown(NOW + 1_234_567) == "2026-09-21T14:13:20.001Z"
    units = [None, 500, 1_300_000, 12e9, 200e9, 7200e9]
    assert [shown_duration(ns) for ns in units] == ["-", "0 µs", "1.3 ms", "12.0 s", "3.3 min", "2.0 h"]
