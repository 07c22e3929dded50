"""connectiond on its own: peer connections on the MSG bus, without a master, as LNP Node's microservice. A tour:

`options.py` reads the command line. The key stays with an hsmd that we start (`own_hsmd.py`). Connections come and are
dialled by connectd's own modules (`peers.py`); after INIT each goes to a process of its own, or to a thread with
`--threaded` (`lines/carrier.py`), and what is left here is a Line (`lines/elsewhere.py`). The hub of the MSG bus takes
the line when a service wants it; until then it waits (`waiting_room.py`). Services come over a CTL bus of our own
(`ctl.py`), and what they want is in `registrations.py`; `buses.py` has both buses.

This file starts and ends all that. A program that wants it inside, with `inproc://` endpoints, calls `run`.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Sequence

import zmq

from connectd.connectiond.alone.buses import StandaloneBuses
from connectd.connectiond.alone.options import Settings, UsageError, parse
from connectd.connectiond.alone.own_hsmd import HsmdFailed, OwnHsmd
from connectd.connectiond.alone.peers import StandalonePeers
from connectd.connectiond.lines.elsewhere import DistantLine, InThread, process_starter
from connectd.reach.dial import ReachFailed
from connectd.tasks import Tasks
from wire.bus.curve import CurveError
from wire.command import console
from wire.command.console import OutputError, complain, printing
from wire.control.binding import BindFailed
from wire.control.daemon import EXIT_OK, keep_fds
from wire.control.daemon import run as run_daemon
from wire.control.privilege import give_up_privileges
from wire.control.status import INFO, Status, set_up_logging
from wire.control.timing import Timing

COMMAND = "connectiond"
EXIT_FAILED = 1
EXIT_USAGE = 2

status = Status("connectiond")

Context = zmq.Context[zmq.Socket[bytes]]


class Standalone:
    """The process, or the part of one, on its running loop. `stop` ends it with an exit status."""

    def __init__(self, settings: Settings, context: Context, stop: Callable[[int], None], timing: Timing) -> None:
        self._settings = settings
        self._context = context
        self._stop = stop
        self._timing = timing
        self._tasks = Tasks()
        self._hsmd: OwnHsmd | None = None
        self._peers: StandalonePeers | None = None
        self._bus: StandaloneBuses | None = None
        self._dialling = 0
        self._ending = False

    async def begin(self, ready: Callable[[], None]) -> None:
        """Up to listening, or to having begun to dial. What keeps us from it is one sentence, and the end."""
        try:
            await self._begin()
        except (HsmdFailed, BindFailed, CurveError) as error:
            self.fail(str(error))
        except OSError as error:
            self.fail(f"{error.filename or self._settings.directory}: {console.reason(error)}")
        else:
            ready()

    async def _begin(self) -> None:
        settings = self._settings
        for directory in [*reversed(settings.directory.parents), settings.directory]:  # `parents=True` minds the umask
            if not directory.is_dir():
                directory.mkdir(mode=0o700)
        self._hsmd = OwnHsmd(settings, self.fail)
        node_id = await self._hsmd.node_id(settings)
        bus = self._bus = StandaloneBuses(settings, node_id, self._context, self._timing, self._tasks)
        start_line = InThread if settings.threaded else process_starter(settings.log_level)
        peers = self._peers = StandalonePeers(
            settings, node_id, self._hsmd.ecdh, start_line, bus, self._went, self._tasks, self._timing
        )
        bus.start(peers)
        msg, ctl = bus.endpoints
        bindings = await peers.listen()
        where = f"listens on {', '.join(bindings)}" if bindings else "listens nowhere"
        status.info(f"{node_id.hex()} on {settings.network} {where}; MSG at {msg}, CTL at {ctl}")
        self._dialling = len(settings.connect)
        for whom, address in settings.connect:
            self._tasks.spawn(self._dial(peers, whom, address))

    async def _dial(self, peers: StandalonePeers, node_id: bytes, address: str) -> None:
        try:
            peer = await peers.reach(node_id, address)
        except ReachFailed as failed:
            self._dialling -= 1
            self._one_less(f"{node_id.hex()} cannot be reached: {failed}")
        else:
            self._dialling -= 1
            status.info(f"connected with {peer.address}", node_id)
            if not peers.lines:
                self._one_less(f"the connection with {node_id.hex()} has ended at once")

    def _went(self, line: DistantLine) -> None:
        assert self._bus is not None
        self._bus.went(line)
        reason = f"the connection with {line.peer.node_id.hex()} has ended: {line.reason}"
        if self._settings.listen:  # then it may be any stranger's
            status.by_stranger("disconnected", reason, line.peer.node_id, line.peer.address, INFO)
        else:
            self._one_less(reason)

    def _one_less(self, reason: str) -> None:
        """With `--connect` the last connection's end is ours: the program that started us decides what then."""
        assert self._peers is not None
        if self._settings.listen or self._ending:
            status.info(reason)
        elif self._dialling or self._peers.lines:
            status.unusual(reason)
        else:
            self.fail(reason)

    # the end

    def fail(self, reason: str) -> None:
        """What we cannot go on without is missing."""
        self.end(EXIT_FAILED, reason)

    def end(self, exit_status: int, reason: str) -> None:
        """End everything in order; what was not asked for is told last, on standard error."""
        if self._ending:
            return
        self._ending = True
        if not exit_status:
            status.info(f"ends: {reason}")
        self._tasks.spawn(self._end(exit_status, reason))

    async def _end(self, exit_status: int, reason: str) -> None:
        if self._peers is not None:
            await self._peers.end("connectiond ends")
        if self._bus is not None:
            self._bus.close(f"connectiond ends: {reason}")
        if self._hsmd is not None:
            await self._hsmd.end()
        if exit_status:
            complain(COMMAND, reason)
        self._stop(exit_status)

    def close(self) -> None:
        """Whatever is still open: after a fault of ours, all ends with its sockets."""
        self._ending = True
        if self._peers is not None:
            self._peers.close()
        if self._bus is not None:
            self._bus.close("it is broken")
        if self._hsmd is not None:
            self._hsmd.close()


def run(
    arguments: Sequence[str],
    context: Context | None = None,
    ready: Callable[[Callable[[], None]], None] = lambda stop: None,
    timing: Timing | None = None,
) -> int:
    """connectiond with these arguments, until it ends; the exit status. For programs that embed it.

    With `--threaded` and the `context` of the program, `--msg` and `--ctl` may be `inproc://` endpoints. `ready` is
    called when they are bound, with a function that ends connectiond and may be called from any thread. In the main
    thread SIGTERM and SIGINT end it, too. Raises UsageError; all else that is wrong is told on standard error.
    """
    settings = parse(arguments)
    shared = context or zmq.Context()

    def start(stop: Callable[[int], None]) -> Callable[[], None]:
        loop = asyncio.get_running_loop()
        standalone = Standalone(settings, shared, stop, timing or Timing())
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, standalone.end, EXIT_OK, signal.Signals(number).name)

        def end_from_anywhere() -> None:
            with contextlib.suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(standalone.end, EXIT_OK, "it was told to")

        begun = loop.create_task(standalone.begin(lambda: ready(end_from_anywhere)))
        begun.add_done_callback(lambda task: task.cancelled() or task.result())
        return standalone.close

    try:
        return run_daemon("connectiond", start)
    finally:
        if context is None:
            shared.term()


def command(arguments: Sequence[str]) -> int:
    """The command `connectiond`; the exit status."""
    try:
        with printing():
            settings = parse(arguments)
        set_up_logging(settings.log_level)
        keep_fds()
        give_up_privileges(status)
        return run(arguments)
    except UsageError as error:
        complain(COMMAND, error)
        return EXIT_USAGE
    except OutputError as error:
        complain(COMMAND, error)
        return EXIT_FAILED
