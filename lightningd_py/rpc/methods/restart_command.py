"""`restart`: its method, and its answer, which another program gives than the one that was asked."""

import dataclasses
from typing import Any

from lightningd_py.daemons.moving import ALL, MOVABLE, Moved, Mover, MoveRefused
from lightningd_py.rpc.jsonrpc import RESTART, Command
from lightningd_py.rpc.notifications import tell_asker
from lightningd_py.rpc.params import INTERNAL_ERROR, OneOf, RpcError, required

Outcome = list[tuple[str, Moved | MoveRefused]]
"""What came of each process that was to be restarted."""


class RestartCommand:
    """The method."""

    def __init__(self, mover: Mover) -> None:
        self._mover = mover

    def all(self) -> list[Command]:
        """For `Commands`."""
        return [
            Command(
                RESTART,
                self.restart,
                (required("what", OneOf(MOVABLE), "the process, or all of them"),),
                "Replace a process of the node by a new one, as after an upgrade. No peer is disconnected.",
            )
        ]

    async def restart(self, what: str) -> dict[str, Any]:
        """The answer comes when the new one serves."""
        try:
            with self._mover.told(tell_asker()):
                return _json(what, await self._mover.restart(what))
        except MoveRefused as refused:
            raise RpcError(INTERNAL_ERROR, str(refused)) from refused


def outcome_json(what: str, done: Outcome) -> dict[str, Any]:
    """The answer when the master itself was restarted. Of `all` each process has its figures, or the reason."""
    if what != ALL:
        ((name, moved),) = done
        return _json(name, moved)
    figures = [moved for _, moved in done if isinstance(moved, Moved)]
    total = Moved(
        max(moved.moved for moved in figures),
        sum(moved.lost for moved in figures),
        sum(moved.milliseconds for moved in figures),
    )
    return _json(ALL, total) | {"processes": [_json(name, moved) for name, moved in done]}


def _json(name: str, moved: Moved | MoveRefused) -> dict[str, Any]:
    if isinstance(moved, MoveRefused):
        return {"restarted": name, "error": str(moved)}
    return {"restarted": name, **dataclasses.asdict(moved)}
