"""What every daemon's `__main__` does the same way: its inherited sockets, its log, its loop and its end.

A daemon ends when the master closes its control socket (exit 0) and when it is broken (exit 1, with a BROKEN line).
Signals are the master's business: a Ctrl-C in a terminal reaches every process of the group, and must not end a
daemon before the master has decided what becomes of its peers.
"""

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wire.command.console import leave_signals_to_master
from wire.control.control_channel import ControlChannel
from wire.control.privilege import give_up_privileges
from wire.control.status import Status, set_up_logging

EXIT_OK, EXIT_BROKEN = 0, 1


def exit_status(channel: ControlChannel) -> int:
    """With what a daemon ends because its channel to the master has closed."""
    return EXIT_BROKEN if channel.broken else EXIT_OK


def inherited_socket(fd: str) -> socket.socket:
    """The socket behind an fd number from the command line, no longer inheritable by our own children."""
    sock = socket.socket(fileno=int(fd))
    sock.set_inheritable(False)
    return sock


def keep_fds() -> None:
    """What we were started with besides 0, 1 and 2 becomes close-on-exec: who we start gets what it is given, only."""
    for number in [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]:
        if number > 2:
            with contextlib.suppress(OSError):  # the one that listed them
                os.set_inheritable(number, False)


def calm_collector() -> None:
    """Python's garbage collector finds next to nothing in a daemon: most objects are made and dropped with a message,
    and hardly any is in a cycle. With Python's own figures it took a tenth of a first sync.

    What is there now stays, also in processes that are forked from here, who share its pages.
    """
    gc.set_threshold(20_000, 20, 50)
    gc.freeze()


def prepare(log_level: str) -> None:
    """Log to standard error; leave signals to the master; give up what is not needed."""
    calm_collector()
    set_up_logging(log_level)
    give_up_privileges(Status("daemon"))
    leave_signals_to_master()


class CannotGoOn(Exception):
    """This daemon has to end, and it is no bug of ours: the text is one sentence. The master starts another one."""


def run(name: str, start: Callable[[Callable[[int], None]], Callable[[], None]]) -> int:
    """Run a daemon until it is over; returns the exit status.

    `start(stop)` is called on the running loop and returns what is to be called at the end; the daemon calls
    `stop(status)`. An exception that is not caught in any callback or task is our own bug: BROKEN, and the end; but
    for CannotGoOn, which is the end alone.
    """
    return asyncio.run(_run(Status(name), start))


async def _run(status: Status, start: Callable[[Callable[[int], None]], Callable[[], None]]) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def stop(exit_status: int) -> None:
        if not ended.done():
            ended.set_result(exit_status)

    def broken(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        text = context["message"]
        if isinstance(error, CannotGoOn):
            status.unusual(str(error))
            stop(EXIT_BROKEN)
            return
        try:
            raise error or RuntimeError(text)
        except BaseException:
            status.broken(text, exc_info=True)
        stop(EXIT_BROKEN)

    loop.set_exception_handler(broken)
    close = start(stop)
    try:
        return await ended
    finally:
        _cancel_others()
        close()


def _cancel_others() -> None:
    """Before anything is closed: a task that is about to go on in this very turn must not find it closed."""
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
