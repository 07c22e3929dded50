"""The master's process: from its command line to the loop, and back to an exit status."""

import asyncio
import signal
from collections.abc import Callable, Sequence

from lightningd_py.config.daemonize import daemonize
from lightningd_py.config.options import Options, parse
from lightningd_py.errors import StartError
from lightningd_py.log import NodeLog
from lightningd_py.node import Node
from lightningd_py.pid_lock import PidLock, make_directory
from wire.command.console import END_SIGNALS, OutputError, complain, printing
from wire.control.daemon import calm_collector, keep_fds
from wire.control.landlock import landlock_version
from wire.control.status import Status, end_logging, set_up_logging


def start(command: str, arguments: Sequence[str]) -> int:
    """Run a node with these arguments; the exit status. What goes wrong before it runs is told on standard error."""
    keep_fds()
    try:
        with printing():
            options = parse(arguments)
        started = daemonize() if options.daemon else lambda: None
        return _run(options, started)
    except (StartError, OutputError) as error:
        complain(command, error)
        return 1


def _run(options: Options, started: Callable[[], None]) -> int:
    """From here on something is made: a signal waits until the node hears it, and does not disturb its end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, END_SIGNALS)
    make_directory(options.network_dir)
    lock = PidLock(options.pid_file)
    try:
        log = NodeLog(options.log_file)
        set_up_logging(options.log_level)
        for sentence in options.without_use:
            Status("lightningd").unusual(sentence)
        calm_collector()
        if not landlock_version():
            Status("lightningd").info("this kernel has no Landlock: our daemons may open what this user may")
        try:
            return asyncio.run(_node(options, log, started))
        finally:
            end_logging()
            log.close()
    finally:
        lock.release()


async def _node(options: Options, log: NodeLog, started: Callable[[], None]) -> int:
    return await Node(options, log).run(started)
