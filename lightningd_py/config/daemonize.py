"""`--daemon`: going to the background only when the node runs, so that a shell sees in the exit status if it did."""

import contextlib
import os
import signal
from collections.abc import Callable

from wire.command.console import END_SIGNALS

_STARTED = b"+"


def daemonize() -> Callable[[], None]:
    """Fork. The parent never returns: it exits with 0 when the child calls the function given back, else as the child.

    To be called before there are threads, locks or an event loop. Until the child has started, its complaints go to
    the terminal; then standard input and output are /dev/null. Standard error is the log's business. A signal that
    ends the parent ends the child.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        os._exit(_outcome(child, reading))
    os.close(reading)
    os.setsid()
    return lambda: _started(writing)


def _outcome(child: int, reading: int) -> int:
    ended = _pass_signals_on(child)
    if os.read(reading, 1) == _STARTED:
        return 0
    _, status = os.waitpid(child, 0)
    exit_status = abs(os.waitstatus_to_exitcode(status))
    return exit_status if ended else max(1, exit_status)


def _pass_signals_on(child: int) -> list[int]:
    """To the child, which is in a session of its own. Gives the list into which they come."""
    passed: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        passed.append(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)

    for number in END_SIGNALS:
        signal.signal(number, pass_on)
    return passed


def _started(writing: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    os.write(writing, _STARTED)
    os.close(writing)
