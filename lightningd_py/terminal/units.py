"""Times, amounts, durations and sizes as people read them. Exact values are in the JSON."""

import time
from collections.abc import Callable
from typing import Any

UNKNOWN = "-"
_DURATIONS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
_LATEST = 253_402_300_799
"""The last second of the year 9999: `time` can say no later one."""


def duration(seconds: float) -> str:
    """The two largest units, `3d 4h`; below ten seconds `4.2s`, below one `35ms`."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    left = int(seconds)
    words: list[str] = []
    for size, letter in _DURATIONS:
        if left >= size or words:
            words.append(f"{left // size}{letter}")
            left %= size
    return " ".join(word for word in words[:2] if not word.startswith("0"))


def moment(timestamp: float) -> str:
    """A unix time in the local zone, to the second."""
    if not 0 <= timestamp <= _LATEST:
        return str(timestamp)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp))


def amount(msat: int) -> str:
    """`12,345.678 sat`; the last three digits only where they say something."""
    sat, rest = divmod(msat, 1000)
    return f"{sat:,}.{rest:03} sat" if rest else f"{sat:,} sat"


def size(count: float) -> str:
    """Bytes in steps of a thousand: `1.2 MB`."""
    unit = _SIZES[0]
    for unit in _SIZES:
        if abs(count) < 999.5 or unit == _SIZES[-1]:
            break
        count /= 1000
    return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"


def number(count: int) -> str:
    """`12,345`."""
    return f"{count:,}"


def _milliseconds(value: float) -> str:
    return duration(value / 1000)


def _nanoseconds(value: float) -> str:
    return duration(value / 1e9)


_KINDS: dict[str, Callable[[Any], str]] = {
    "last_timestamp": moment,
    "last_update": moment,
    "created": moment,
    "expires": moment,
    "connected_since": moment,
    "at": moment,
    "base_fee_millisatoshi": amount,
    "bytes_in": size,
    "bytes_out": size,
    "next_try_in": duration,
    "ping_ms": _milliseconds,
    "timestamp": moment,
    "duration_nsec": _nanoseconds,
}
_ENDINGS: dict[str, Callable[[Any], str]] = {"_msat": amount, "_bytes": size}


def for_people(field: str, value: Any) -> str | None:
    """The value of a result's field in its unit; None if it has none, or the value is of another kind."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    write = _KINDS.get(field) or next((write for end, write in _ENDINGS.items() if field.endswith(end)), None)
    if write is None or (write is amount and not isinstance(value, int)):
        return None
    return write(value)
