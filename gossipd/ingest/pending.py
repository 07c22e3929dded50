"""Announcements on their way: from their cheap checks until they are written with their first update."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from wire.control.status import Status

MAX_PENDING = 20_000
MAX_PENDING_BYTES = 40_000_000

status = Status("gossipd")


class Stage(Enum):
    """How far an announcement is."""

    SIGNATURES = auto()
    TXOUT = auto()
    UPDATE = auto()
    """All is proven, and its first update is awaited."""


# Looked up once: before Python 3.12 each look at an enum's member costs 0.15 µs.
SIGNATURES, TXOUT, AWAITS_UPDATE = Stage


@dataclass(slots=True)
class Pending:
    """One of them, with the newest update of each direction, checked with its keys."""

    message: bytes
    source: int
    keys: tuple[bytes, bytes, bytes, bytes]
    """node_id_1, node_id_2, bitcoin_key_1, bitcoin_key_2."""
    since: float
    stage: Stage = SIGNATURES
    amount_sat: int = 0
    updates: list[bytes | None] = field(default_factory=lambda: [None, None])


class PendingChannels:
    """All of them by scid; bounded in number and bytes."""

    def __init__(self) -> None:
        self._by_scid: dict[int, Pending] = {}
        self._bytes = 0
        self._said_full = False
        self.get = self._by_scid.get
        """The pending announcement of a scid, or None: a hot path."""

    def __len__(self) -> int:
        return len(self._by_scid)

    def __contains__(self, scid: int) -> bool:
        return scid in self._by_scid

    @property
    def is_full(self) -> bool:
        """Nothing more should be added."""
        return len(self._by_scid) >= MAX_PENDING or self._bytes >= MAX_PENDING_BYTES

    def complain_full(self) -> None:
        """Say once that there is no room."""
        if not self._said_full:
            self._said_full = True
            status.unusual(f"{MAX_PENDING} announcements wait for their output: more are not taken until it shrinks")

    def add(self, scid: int, pending: Pending) -> None:
        """A new one."""
        self._by_scid[scid] = pending
        self._bytes += len(pending.message)

    def pop(self, scid: int) -> Pending:
        """It is written, or has failed."""
        pending = self._by_scid.pop(scid)
        self._bytes -= len(pending.message)
        return pending

    def proven(self) -> Iterator[tuple[int, Pending]]:
        """Those that only wait for an update, the oldest first."""
        return ((scid, pending) for scid, pending in self._by_scid.items() if pending.stage is AWAITS_UPDATE)
