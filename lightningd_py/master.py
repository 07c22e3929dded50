"""The master's process: from its command line to the loop, and back to an exit status."""

import asyncio
import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lightningd_py.config.daemonize import daemonize
from lightningd_py.config.options import Options, parse
from lightningd_py.config.setconfig import grouped, transient
from lightningd_py.errors import StartError
from lightningd_py.log import NodeLog
from lightningd_py.node import ALL_SIGNALS, Node
from lightningd_py.node_left import CHECK, STATE, NodeLeft, flaw_of, inherited, read_state, write_state
from lightningd_py.parts import BUSES
from lightningd_py.pid_lock import PidLock, make_directory
from lightningd_py.registrations.of_options import make_registrations
from lightningd_py.service_manager import ServiceManager
from wire.command.console import OutputError, complain, printing, reason
from wire.control.daemon import calm_collector, keep_fds
from wire.control.landlock import landlock_version
from wire.control.status import Status, end_logging, set_up_logging
from wire.net.states import StateError, fds_in


def start(command: str, arguments: Sequence[str]) -> int:
    """Run a node with these arguments; the exit status. What goes wrong before it runs is told on standard error.

    If the environment says so it is one that runs already: this process had another program until now. Or it is only
    asked whether that could be.
    """
    keep_fds()
    try:
        looked_at, left = _inherited(CHECK), _inherited(STATE)
        with printing():
            options = parse(arguments)
        before = looked_at or left
        for name, texts in grouped(before.transient if before is not None else []):
            options.adopt(name, options.changed(name, transient(name, texts)))
        if looked_at is not None:
            return _check(looked_at, options)
        started = daemonize() if options.daemon and left is None else _nothing
        return _run(options, started, left, ServiceManager(os.environ))
    except (StartError, StateError, OutputError) as error:
        complain(command, error)
        return 1


def _inherited(name: str) -> NodeLeft | None:
    fd = inherited(name, os.environ)
    os.environ.pop(name, None)  # it is not for our children
    return None if fd is None else read_state(fd)


def _check(left: NodeLeft, options: Options) -> int:
    """Whether we could go on with this node: all that may fail is tried. Raises StartError."""
    make_registrations(options)
    importlib.import_module(BUSES)
    if flaw := flaw_of(left, options):
        raise StartError(flaw)
    return 0


def _run(options: Options, started: Callable[[], None], left: NodeLeft | None, manager: ServiceManager) -> int:
    """From here on something is made: a signal waits until the node hears it, and does not disturb its end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ALL_SIGNALS)
    if left is None or left.lock_fd is None:
        make_directory(options.network_dir)
        lock = PidLock(options.pid_file)
    else:
        lock = PidLock.adopt(options.pid_file, left.lock_fd)
    try:
        log = _log(options, left)
        set_up_logging(options.log_style.argument)
        for sentence in options.without_use:
            Status("lightningd").unusual(sentence)
        calm_collector()
        if not landlock_version():
            Status("lightningd").info("this kernel has no Landlock: our daemons may open what this user may")
        try:
            while isinstance(outcome := asyncio.run(_node(options, log, started, left, manager)), NodeLeft):
                started = _nothing
                outcome = replace(outcome, log=log.hand_over(), lock_fd=lock.hand_over())
                left = _become(outcome, options, manager.environment)
            return outcome
        finally:
            end_logging()
            log.close()
    finally:
        lock.release()


def _log(options: Options, left: NodeLeft | None) -> NodeLog:
    style = options.log_style.argument
    if left is not None and left.log is not None:
        return NodeLog.adopt(left.log, style)
    return NodeLog(options.log_file, style, daemon=options.daemon)


def _nothing() -> None:
    """The node has started already."""


async def _node(
    options: Options, log: NodeLog, started: Callable[[], None], left: NodeLeft | None, manager: ServiceManager
) -> int | NodeLeft:
    manager.begin()

    def runs() -> None:
        if options.daemon and left is None:
            log.leave_terminal()
        if left is None:  # else the manager hears when all is done that was asked for
            manager.ready(f"runs on {options.network}")
        started()

    return await Node(options, log, manager, left).run(runs)


def _become(left: NodeLeft, options: Options, environment: Mapping[str, str]) -> NodeLeft:
    """This process is another program from here on, which finds this in its environment, too. Returns if it cannot be:
    we go on with what is returned.
    """
    end_logging()
    memfd = -1
    try:
        memfd = write_state(left)
        fds = [memfd, *fds_in(left)]
        for fd in fds:
            os.set_inheritable(fd, True)
        os.execve(sys.executable, sys.orig_argv, {**os.environ, **environment, STATE: str(memfd)})  # noqa: S606 - our own command
    except OSError as error:
        set_up_logging(options.log_style.argument)
        for fd in fds_in(left):
            os.set_inheritable(fd, False)
        if memfd >= 0:
            os.close(memfd)
        return replace(left, failed=f"the master goes on as it was: it cannot be executed again: {reason(error)}")
