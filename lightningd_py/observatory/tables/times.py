"""Times, sizes and durations as people write them, and as they are shown."""

import re
from datetime import UTC, datetime, timedelta

SECOND_NS = 1_000_000_000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([smhdw])")
_SIZE = re.compile(r"([0-9]{1,9})([kMGT]?)B?")
_SIZES = {"": 0, "k": 10, "M": 20, "G": 30, "T": 40}
_LAST = 9_000_000_000
"""Unix seconds whose nanoseconds fit 63 bits."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def duration(text: str) -> float:
    """`90s`, `1.5h`, `2d`, `1w` in seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no duration: it looks like 90s, 10m, 2h, 1d or 1w")
    return float(match[1]) * _UNITS[match[2]]


def size(text: str) -> int:
    """`500M`, `4G` in bytes, units of 1024. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size: it looks like 500M or 4G")
    return int(match[1]) << _SIZES[match[2]]


def time_ns(text: str, now_ns: int) -> int:
    """ISO 8601 (UTC if it does not say), unix seconds, `now`, or `-2h` before now. Raises ValueError."""
    text = text.strip()
    if text == "now":
        return now_ns
    if text.startswith("-"):
        return now_ns - int(duration(text[1:]) * SECOND_NS)
    try:
        found = _parsed(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: it looks like 2026-11-29T12:00, 1796000000, now or -2h") from None
    if not 0 <= found < _LAST * SECOND_NS:
        raise ValueError(f"{text!r} is out of range")
    return found


def _parsed(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,11}", text):
        return int(text) * SECOND_NS
    if re.fullmatch(r"[0-9]{1,11}\.[0-9]{1,9}", text):
        whole, _, rest = text.partition(".")
        return int(whole) * SECOND_NS + int(rest.ljust(9, "0"))
    when = datetime.fromisoformat(text)
    since = (when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH
    return since // timedelta(microseconds=1) * 1000


def shown(at_ns: int) -> str:
    """`2026-11-29T12:00:00.123Z`."""
    return f"{datetime.fromtimestamp(at_ns // SECOND_NS, UTC):%Y-%m-%dT%H:%M:%S}.{at_ns // 1_000_000 % 1000:03}Z"


def shown_duration(ns: float | None) -> str:
    """`1.3 ms`, `12.0 s`, `3.2 min`, or - for None."""
    if ns is None:
        return "-"
    for unit, size_ns in (("h", 3600e9), ("min", 60e9), ("s", 1e9), ("ms", 1e6)):
        if abs(ns) >= size_ns:
            return f"{ns / size_ns:.1f} {unit}"
    return f"{ns / 1e3:.0f} µs"
