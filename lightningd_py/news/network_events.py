"""Connections that came, went, or could not be made, and pings: what `listnetworkevents` shows and `wait` waits for.

The last ones only, with a share for each node. They are kept in memory: over a restart of the master's program, and
not over the end of the node, with which their numbers begin at 1 again.
"""

import asyncio
from dataclasses import field
from typing import Any

from wire.control.shares import Shares
from wire.start.late_dataclass import dataclass

MOST = 10_000
"""Events."""
LONGEST_REASON = 500
"""Characters."""


@dataclass(frozen=True, slots=True)
class NetworkEvent:
    """One of them. `kind`: connect, connect_fail, ping, disconnect. `timestamp`: unix seconds."""

    created_index: int
    timestamp: int
    node_id: bytes
    kind: str
    reason: str = ""
    duration_nsec: int | None = None
    """How long it took, or, of a disconnect, how long the connection has lived."""
    connect_attempted: bool | None = None

    @property
    def content(self) -> dict[str, Any]:
        """CLN's fields."""
        shown: dict[str, Any] = {
            "created_index": self.created_index,
            "timestamp": self.timestamp,
            "peer_id": self.node_id.hex(),
            "type": self.kind,
        }
        optional = {
            "reason": self.reason or None,
            "duration_nsec": self.duration_nsec,
            "connect_attempted": self.connect_attempted,
        }
        return shown | {name: value for name, value in optional.items() if value is not None}


@dataclass(frozen=True, slots=True)
class EventsLeft:
    """For the next program of this process. `indexes`: of each subsystem and name of `Indexes`."""

    events: list[NetworkEvent] = field(default_factory=list)
    indexes: list[tuple[str, str, int]] = field(default_factory=list)


class Indexes:
    """How much has happened: numbers that only grow, and those who wait until one is so large."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], int] = {}
        self._about: dict[tuple[str, str], dict[str, Any]] = {}
        self._grown: asyncio.Event | None = None
        """There while anything is waited for."""

    def grow(self, subsystem: str, name: str, about: dict[str, Any]) -> int:
        """One more. `about`: of what it is, for those who wait."""
        value = self._values[subsystem, name] = self.value(subsystem, name) + 1
        self._about[subsystem, name] = about
        if self._grown is not None:
            self._grown.set()
            self._grown = None
        return value

    def value(self, subsystem: str, name: str) -> int:
        """Of this moment; 0 if nothing has happened."""
        return self._values.get((subsystem, name), 0)

    async def until(self, subsystem: str, name: str, value: int, seconds: float | None) -> tuple[int, dict[str, Any]]:
        """The value, once it is so large, and what the last of it was about. Raises TimeoutError."""
        waited = False
        async with asyncio.timeout(seconds):
            while self.value(subsystem, name) < value:
                waited = True
                self._grown = self._grown or asyncio.Event()
                await self._grown.wait()
        return self.value(subsystem, name), self._about.get((subsystem, name), {}) if waited else {}

    def leave(self) -> list[tuple[str, str, int]]:
        """For the next program of this process."""
        return [(subsystem, name, value) for (subsystem, name), value in self._values.items()]

    def resume(self, left: list[tuple[str, str, int]]) -> None:
        """Go on counting."""
        self._values = {(subsystem, name): value for subsystem, name, value in left}


class NetworkEvents:
    """The last events, and how many there were."""

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes
        self._events: Shares[int, NetworkEvent] = Shares(MOST)

    def add(
        self,
        kind: str,
        node_id: bytes,
        timestamp: float,
        reason: str = "",
        seconds: float | None = None,
        connect_attempted: bool | None = None,
    ) -> None:
        """One has happened. `seconds`: how long it took."""
        about = {"type": kind, "peer_id": node_id.hex()}
        index = self._indexes.value("networkevents", "created") + 1
        nanoseconds = None if seconds is None else round(seconds * 1e9)
        event = NetworkEvent(
            index, int(timestamp), node_id, kind, reason[:LONGEST_REASON], nanoseconds, connect_attempted
        )
        gone = self._events.put(index, event, node_id)
        self._indexes.grow("networkevents", "created", about | {"created_index": index})
        for old, _ in gone:
            self._indexes.grow("networkevents", "deleted", {"created_index": old})

    def listed(self, node_id: bytes | None, start: int, limit: int | None) -> list[NetworkEvent]:
        """Those of this node, or of all; from this index on, and so many at most."""
        found = [
            event for index, event in self._events.values.items() if index >= start and node_id in (None, event.node_id)
        ]
        return found if limit is None else found[:limit]

    def leave(self) -> EventsLeft:
        """For the next program of this process."""
        return EventsLeft(list(self._events.values.values()), self._indexes.leave())

    def resume(self, left: EventsLeft) -> None:
        """Go on with those of the program before us."""
        self._indexes.resume(left.indexes)
        for event in left.events:
            self._events.put(event.created_index, event, event.node_id)
