"""What the kernel knows of the clock's error, and jumps of the clock: a row of `clock` each minute and at each jump.

Correlating vantage points by wall clocks needs to know how far each may be off: adjtimex(2) says what the host's NTP
daemon has told the kernel.
"""

import ctypes
import time
from collections.abc import Callable
from typing import Any, NamedTuple

EVERY = 60.0
"""Seconds."""
JUMP_NS = 100_000_000
"""From here on it is a jump, and not the slewing of NTP nor a slow turn of ours."""
_STA_UNSYNC, _STA_NANO = 0x0040, 0x2000
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )
    """The beginning of the kernel's struct timex, with more room behind it than the kernel writes to."""


class ClockError(NamedTuple):
    """`status` has the kernel's bits STA_*. None is what is not known."""

    offset_ns: int | None = None
    maxerror_us: int | None = None
    esterror_us: int | None = None
    status: int | None = None
    synced: bool | None = None


def clock_error() -> ClockError:
    """What adjtimex says, or nothing where there is none, or where it is forbidden (some containers)."""
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return ClockError()
    if state < 0:
        return ClockError()
    offset_ns = timex.offset if timex.status & _STA_NANO else timex.offset * 1000
    synced = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    return ClockError(offset_ns, timex.maxerror, timex.esterror, timex.status, synced)


class Clock:
    """When a row is due, and what is in it."""

    def __init__(
        self,
        vantage: str,
        now_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        error: Callable[[], ClockError] = clock_error,
    ) -> None:
        self._vantage = vantage
        self._now_ns, self._monotonic_ns, self._error = now_ns, monotonic_ns, error
        self._before: tuple[int, int] | None = None
        self._due_ns = 0

    def row(self) -> tuple[Any, ...] | None:
        """A row of `clock` if a minute is over, or if the wall clock has gone another way than the monotonic one."""
        now_ns, monotonic_ns = self._now_ns(), self._monotonic_ns()
        jump_ns = 0
        if self._before is not None:
            jump_ns = (now_ns - self._before[0]) - (monotonic_ns - self._before[1])
        self._before = (now_ns, monotonic_ns)
        if self._due_ns > monotonic_ns and abs(jump_ns) < JUMP_NS:
            return None
        self._due_ns = monotonic_ns + int(EVERY * 1e9)
        return now_ns, self._vantage, monotonic_ns, jump_ns, *self._error()
