"""`restart master`: the node is brought to rest, and its state is taken, for the next program of this process; and the
first steps of that.

The new version is asked first, in a process of its own, whether it can go on with this node. What is said to us from
then on waits in sockets: clients', daemons' and programs'. So nothing is lost that is not in the state. What ZMQ has
cannot move: the buses say goodbye, and their clients come again.
"""

import asyncio
import os
import sys
import time
from dataclasses import replace
from typing import Any

from lightningd_py.config.setconfig import transients
from lightningd_py.daemons.moving import ALL, Moved, Mover, MoveRefused
from lightningd_py.errors import NotSaved
from lightningd_py.node_left import CHECK, NodeLeft, of_this_version, write_state
from lightningd_py.owners.table_left import table_of
from lightningd_py.parts import Running
from lightningd_py.rpc.methods.restart_command import outcome_json
from lightningd_py.rpc.notifications import tell_asker
from lightningd_py.rpc.params import INTERNAL_ERROR, RpcError
from wire.control.process import Process
from wire.control.status import Status

CHECK_TIME = 30.0
"""Seconds that the new version has to say whether it can go on."""
LONGEST_ANSWER = 4_096
"""Bytes of what it says."""
ANSWERS = 2.0
"""Seconds in which requests are answered. What is not answered then is done again by the next program."""
RETURN_TIME = 60.0
"""Seconds that services of the buses have to say hello again: the registrations of one that does not are ended."""
REST = 5.0
"""Seconds in which all comes to rest, or nothing is restarted."""
LOOK = 0.005
"""Seconds between two looks at it."""
GOODBYE = "the master is restarted: say hello again"

status = Status("lightningd")


class Leaving:
    """What `Mover` calls for `restart master`."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def become(self, what: str) -> None:
        """End the loop with the state. Returns only by an exception: raises MoveRefused, and all is as it was."""
        running, loop = self._running, asyncio.get_running_loop()
        began = loop.time()
        running.manager.reloading(f"{what} is being restarted")
        try:
            await ask_new_version(_to_look_at(running, what, began))
            await self._pause()
        except BaseException as error:
            running.manager.ready(str(error))
            raise
        running.ended.set_result(_leave(running, what, began))
        await loop.create_future()  # the loop ends

    async def _pause(self) -> None:
        """Take nothing new, and wait until all has come to rest. Raises MoveRefused."""
        running = self._running
        running.rpc.pause()
        running.buses.pause()
        try:
            await self._rest()
        except BaseException:
            running.rpc.go_on()
            running.buses.go_on()
            raise

    async def _rest(self) -> None:
        """Wait until nothing is half done. Raises MoveRefused."""
        running, loop = self._running, asyncio.get_running_loop()
        try:
            await running.core.database.saved()
        except NotSaved as error:
            raise MoveRefused(f"nothing was restarted: {error}") from error
        began = loop.time()
        while (reason := self._moves()) or (loop.time() - began < ANSWERS and self._in_hand()):
            if reason and loop.time() - began > REST:
                raise MoveRefused(f"nothing was restarted: {reason}; try again")
            await asyncio.sleep(LOOK)
        if running.ended.done() or not running.restarts.ready:
            raise MoveRefused("the node is ending")

    def _in_hand(self) -> bool:
        """There are requests besides the one for this restart."""
        return self._running.rpc.in_hand > 1 or self._running.buses.in_hand > 0

    def _moves(self) -> str:
        """What is half done, and cannot be left so; empty if nothing is."""
        core = self._running.core
        if away := self._running.restarts.away:  # its successor may be half told who it is
            return f"{away[0]} has died and is being restarted"
        if self._running.rpc.writing:
            return "a client takes its answer slowly"
        if core.supervisor.queued or any(channel.queued for channel in core.ownership.programs.channels()):
            return "a daemon or a program does not take what it is told"
        if core.ownership.claims.held:
            return "a connection is on its way between connectd and gossipd"
        return ""


def _to_look_at(running: Running, what: str, began: float) -> NodeLeft:
    """The state but for what has fds: nothing is touched."""
    core, parts = running.core, running.parts
    left = of_this_version(running.options.network_dir, core.own.node_id, what, began)
    return replace(
        left,
        table=table_of(core.ownership),
        sessions=core.ownership.registrations.sessions(),
        kept=parts.staying.core.leave(),
        deaths=running.restarts.leave(),
        txouts=core.gossip_control.leave(),
        bindings=core.own.bindings,
        announced=core.own.announced,
        is_open=running.opening.is_open,
        has_map=core.has_map,
        msg_endpoint=parts.connectiond.endpoint,
        passphrase_begins=core.passphrase.begins,
        events=running.news.events.leave(),
        topics=sorted(running.news.topics.taken),
        transient=transients(running.options),
        onion_secret=parts.onions.secret,
        refuses_all=parts.access.refuses_all,
    )


def _leave(running: Running, what: str, began: float) -> NodeLeft:
    """The whole state. From here on nothing of the node is in this program's hands."""
    core = running.core
    return replace(
        _to_look_at(running, what, began),
        daemons=core.supervisor.leave(),
        programs=core.ownership.programs.leave(),
        listeners=core.listeners.leave(),
        listening_sockets=core.setup.listeners.leave(),
        clients=running.rpc.leave(),
        storage=core.storage.leave(),
    )


async def close_rest(running: Running) -> None:
    """End what is not in the state: the buses, timers and tasks, the chain, the database."""
    await running.buses.close(GOODBYE, grace=0.0, kept=True)
    if running.metrics is not None:
        await running.metrics.close()
    for companion in running.companions:
        await companion.close()
    for part in (running.parts.staying, running.opening, running.restarts):
        part.close()
    await running.core.chain.close()
    running.core.teller.close()
    running.core.storage.close(moved=True)
    running.core.database.close()


async def ask_new_version(left: NodeLeft) -> None:
    """Have the version that is installed now say whether it can go on with this. Raises MoveRefused."""
    memfd = write_state(left)
    reading, writing = os.pipe()
    try:
        os.set_blocking(reading, False)
        environment = {**os.environ, CHECK: "3"}
        command = [sys.executable, *sys.orig_argv[1:]]
        fds = {2: writing, 3: memfd}
        process = Process(command, fds, lambda exit_status: None, "new version", environment=environment)
        began = time.monotonic()
        if await process.wait(CHECK_TIME):
            return
        os.close(writing)
        writing = -1
        said = os.read(reading, LONGEST_ANSWER).decode(errors="replace").strip()
        late = time.monotonic() - began >= CHECK_TIME
        silence = f"no answer in {CHECK_TIME:.0f} s" if late else f"it ended with {process.exit_status}"
        reason = said.rpartition("\n")[2] or silence
        raise MoveRefused(f"the version that is installed now cannot go on with this node: {reason}")
    except OSError as error:
        raise MoveRefused(f"the version that is installed now cannot be asked: {error.strerror}") from error
    finally:
        for fd in (memfd, reading, writing):
            if fd >= 0:
                os.close(fd)


# the next program


def come_back(left: NodeLeft, running: Running) -> None:
    """The node is ours: the daemons are restarted, too, if all was asked for, and who has asked hears of that."""
    loop = asyncio.get_running_loop()
    outcome = loop.create_task(_outcome(left, running))
    outcome.add_done_callback(lambda done: None if done.cancelled() else done.exception())

    async def restarted() -> dict[str, Any]:
        with running.mover.told(tell_asker()):
            return await asyncio.shield(outcome)

    running.rpc.restarted = restarted
    registrations = running.core.ownership.registrations
    loop.call_later(RETURN_TIME, registrations.end_returning, "it has not said hello after the restart")


async def _outcome(left: NodeLeft, running: Running) -> dict[str, Any]:
    """The answer to `restart`, of which the service manager hears, too. Raises RpcError."""
    if left.failed:
        status.unusual(left.failed)
        running.manager.ready(left.failed)
        raise RpcError(INTERNAL_ERROR, left.failed)
    milliseconds = round(1_000 * (asyncio.get_running_loop().time() - left.began))
    master = Moved(len(left.table.peers), 0, milliseconds)
    done = await running.mover.rest(left.what, master)
    failed = [f"{name} was not restarted: {each}" for name, each in done if isinstance(each, MoveRefused)]
    running.manager.ready("; ".join(failed) or f"{left.what} was restarted")
    return outcome_json(left.what, done)


async def restart_by_signal(mover: Mover) -> None:
    """SIGUSR2: `systemctl reload`. The log says what comes of it."""
    try:
        await mover.restart(ALL)
    except MoveRefused as refused:
        status.unusual(f"SIGUSR2: {refused}")
