"""Announcements on their way: from their cheap checks until they are written with their first update.

Nothing is judged by what is not proven: an update of a channel whose announcement is still being checked is held, with
its sender, and looked at when the announcement holds. Bounded in number and bytes, with a share for each source.
"""

from collections.abc import Iterator
from dataclasses import field
from enum import Enum, auto
from operator import itemgetter

from wire.control.shares import Shares
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

MAX_PENDING = 20_000
MAX_PENDING_BYTES = 40_000_000
MAX_HELD, MAX_HELD_OF_ONE = 6, 2
"""Updates that are held for one direction of a channel, of all senders and of one."""
_OVERHEAD = 200
"""Bytes of a held update besides its own, about."""

status = Status("gossipd")


Update = tuple[int, int, bytes, int]
"""timestamp, direction, message, sender"""
_TIMESTAMP = itemgetter(0)


class Stage(Enum):
    """How far an announcement is."""

    SIGNATURES = auto()
    TXOUT = auto()
    UPDATE = auto()
    """All is proven, and its first update is awaited."""


# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
SIGNATURES, TXOUT, AWAITS_UPDATE = Stage


@dataclass(slots=True, eq=False)
class Pending:
    """One of them. `held`: updates that wait for it."""

    message: bytes
    source: int
    keys: tuple[bytes, bytes, bytes, bytes]
    """node_id_1, node_id_2, bitcoin_key_1, bitcoin_key_2."""
    since: float
    """On the monotonic clock."""
    stage: Stage = SIGNATURES
    amount_sat: int = 0
    held: list[Update] = field(default_factory=list)
    contested_by: int | None = None
    """The first source whose announcement of the channel was not looked at, because of this one."""
    missed: bool = False
    """Updates of the channel found no room."""


class PendingChannels:
    """All of them by scid."""

    def __init__(self) -> None:
        self.table: Shares[int, Pending] = Shares(MAX_PENDING, MAX_PENDING_BYTES)
        self._proven: dict[int, Pending] = {}
        self._said_full = False
        self.get = self.table.get
        """The pending announcement of a scid, or None: a hot path."""

    def __len__(self) -> int:
        return len(self.table)

    def __contains__(self, scid: int) -> bool:
        return scid in self.table

    def complain_full(self) -> None:
        """Say once that there is no room."""
        if not self._said_full:
            self._said_full = True
            status.unusual(f"{MAX_PENDING} announcements wait for their output: some must be asked for again")

    def add(self, scid: int, pending: Pending) -> list[tuple[int, Pending]]:
        """A new one. Returns those that had to make room: the oldest of the source with the most."""
        gone = self.table.put(scid, pending, pending.source, len(pending.message))
        for each, _ in gone:
            self._proven.pop(each, None)
            self.complain_full()
        return gone

    def hold(self, scid: int, pending: Pending, update: Update) -> bool:
        """Keep an update until the announcement is proven; False if it finds no room, and then it is owed."""
        table, held = self.table, pending.held
        full = table.most_size is not None and table.size >= table.most_size
        if full or (len(held) >= MAX_HELD_OF_ONE and _has_its_share(held, update)):
            pending.missed = True
            return False
        held.append(update)
        table.grow(scid, len(update[2]) + _OVERHEAD)
        return True

    def proves(self, scid: int, pending: Pending) -> list[Update]:
        """All about it holds: from now on it only waits for an update. Returns what was held, the newest first."""
        pending.stage = AWAITS_UPDATE
        self._proven[scid] = pending
        held, pending.held = pending.held, []
        if held:
            self.table.grow(scid, -sum([len(message) + _OVERHEAD for _, _, message, _ in held]))
            held.sort(key=_TIMESTAMP, reverse=True)
        return held

    def pop(self, scid: int) -> Pending | None:
        """Take one out that is written, or has failed; None if it had to make room meanwhile."""
        self._proven.pop(scid, None)
        return self.table.pop(scid)

    def messages(self) -> Iterator[tuple[bytes, int]]:
        """All that is here with its source, announcements before their updates: for another gossipd."""
        for pending in self.table.values.values():
            yield pending.message, pending.source
            yield from ((message, sender) for _, _, message, sender in pending.held)

    def proven(self) -> Iterator[tuple[int, Pending]]:
        """Those that only wait for an update, the oldest first."""
        return iter(self._proven.items())


def _has_its_share(held: list[Update], update: Update) -> bool:
    """Enough of this direction waits, of all senders or of this one."""
    senders = [sender for _, direction, _, sender in held if direction == update[1]]
    return len(senders) >= MAX_HELD or senders.count(update[3]) >= MAX_HELD_OF_ONE
