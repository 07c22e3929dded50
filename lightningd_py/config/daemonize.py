"""`--daemon`: going to the background only when the node runs, so that a shell sees in the exit status if it did.

And what a parent leaves us: standard files that are closed, and files that are none of our children's business.
"""

import os
import sys
from collections.abc import Callable

from wire.control.daemon import keep_fds

_STARTED = b"+"


def open_standard_files() -> None:
    """See that 0, 1 and 2 are open, if only on /dev/null: else the first fds of our own would get these numbers.

    All others that we were started with become close-on-exec: daemons and services get what they are given, and
    nothing else. To be called before anything is opened.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    keep_fds()
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def daemonize() -> Callable[[], None]:
    """Fork. The parent never returns: it exits with 0 when the child calls the function given back, else as the child.

    To be called before there are threads, locks or an event loop. Until the child has started, its complaints go to
    the terminal; then standard input and output are /dev/null. Standard error is the log's business.
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
    if os.read(reading, 1) == _STARTED:
        return 0
    _, status = os.waitpid(child, 0)
    return max(1, abs(os.waitstatus_to_exitcode(status)))


def _started(writing: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    os.write(writing, _STARTED)
    os.close(writing)
