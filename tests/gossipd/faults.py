"""Disks that fail and processes that die, at chosen moments."""

import os
import traceback
from collections.abc import Callable
from typing import Any


class Crash(BaseException):
    """The process is gone."""


def failing_pwrite(at: int, share: float, error: BaseException) -> Callable[[int, bytes, int], int]:
    """os.pwrite whose call number `at`, and every later one, fails; that one after a share of its bytes."""
    real = os.pwrite
    calls = 0

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        nonlocal calls
        calls += 1
        if calls - 1 < at:
            return real(fd, data, offset)
        if calls - 1 == at:
            real(fd, bytes(data)[: int(len(data) * share)], offset)
        raise error

    return pwrite


class Countdown:
    """Makes system calls fail from call number `at` on, counted over all that are wrapped."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.left = at
        self._error = error

    def wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, failing when its time has come."""

        def counted(*args: Any, **named: Any) -> Any:
            if self.left <= 0:
                raise self._error
            self.left -= 1
            return call(*args, **named)

        return counted


KILLED = 9


def in_a_process(work: Callable[[], None]) -> bool:
    """Do it in a process of its own, which ends without a farewell at a Crash. Whether it came to its end."""
    pid = os.fork()
    if not pid:
        try:
            work()
        except Crash:
            os._exit(KILLED)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, KILLED)
    return code == 0
