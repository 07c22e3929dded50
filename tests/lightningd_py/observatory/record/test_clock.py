"""Rows of `clock`: each minute, and when the wall clock has gone another way than the monotonic one."""

from lightningd_py.observatory.record.clock import Clock, ClockError, clock_error
from tests.lightningd_py.observatory.recorded import T0

SECOND = 1_000_000_000


class Clocks:
    """Two clocks that are set by hand."""

    def __init__(self) -> None:
        self.wall, self.monotonic = T0, 5 * SECOND

    def go_on(self, seconds: float, jump: float = 0.0) -> None:
        self.monotonic += int(seconds * SECOND)
        self.wall += int((seconds + jump) * SECOND)


def made(clocks: Clocks) -> Clock:
    error = ClockError(1, 2, 3, 64, False)
    return Clock("here", lambda: clocks.wall, lambda: clocks.monotonic, lambda: error)


def test_row_at_first_and_each_minute() -> None:
    clocks = Clocks()
    clock = made(clocks)
    assert clock.row() == (T0, "here", 5 * SECOND, 0, 1, 2, 3, 64, False)
    rows = []
    for _ in range(240):
        clocks.go_on(0.5)
        rows.append(clock.row())
    assert [number for number, row in enumerate(rows) if row is not None] == [119, 239]


def test_jump_is_a_row_at_once() -> None:
    clocks = Clocks()
    clock = made(clocks)
    clock.row()
    for jump in (3600.0, -7200.0, 0.2):
        clocks.go_on(0.5, jump)
        row = clock.row()
        assert row is not None and row[3] == int(jump * SECOND)
        clocks.go_on(0.5, 0.05)
        assert clock.row() is None, "that is slewing"


def test_kernel_says_what_it_knows_or_nothing() -> None:
    found = clock_error()
    assert found == ClockError() or (found.maxerror_us is not None and found.maxerror_us >= 0)
    assert found.synced in (None, True, False)
