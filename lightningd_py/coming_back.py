"""The first steps of a program that goes on with a node, and the last ones of `restart`."""

import asyncio
from typing import Any

from lightningd_py.daemons.moving import ALL, Moved, Mover, MoveRefused
from lightningd_py.node_left import NodeLeft
from lightningd_py.parts import Running
from lightningd_py.rpc.methods.restart_command import outcome_json
from lightningd_py.rpc.params import INTERNAL_ERROR, RpcError
from wire.control.status import Status

RETURN_TIME = 60.0
"""Seconds that services of the buses have to say hello again: the registrations of one that does not are ended."""

status = Status("lightningd")


def come_back(left: NodeLeft, running: Running) -> None:
    """The node is ours: the daemons are restarted, too, if all was asked for, and who has asked hears of that."""
    loop = asyncio.get_running_loop()
    outcome = loop.create_task(_outcome(left, running))
    outcome.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    running.rpc.restarted = lambda: asyncio.shield(outcome)
    registrations = running.core.ownership.registrations
    loop.call_later(RETURN_TIME, registrations.end_returning, "it has not said hello after the restart")


async def _outcome(left: NodeLeft, running: Running) -> dict[str, Any]:
    """The answer to `restart`. Raises RpcError."""
    if left.failed:
        status.unusual(left.failed)
        raise RpcError(INTERNAL_ERROR, left.failed)
    milliseconds = round(1_000 * (asyncio.get_running_loop().time() - left.began))
    master = Moved(len(left.table.peers), 0, milliseconds)
    return outcome_json(left.what, await running.mover.rest(left.what, master))


async def restart_by_signal(mover: Mover) -> None:
    """SIGUSR2: `systemctl reload`. The log says what comes of it."""
    try:
        await mover.restart(ALL)
    except MoveRefused as refused:
        status.unusual(f"SIGUSR2: {refused}")
