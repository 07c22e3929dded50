"""Batches as they come from recorders, for tests without a server."""

import hashlib
from typing import Any

from lightningd_py.observatory.live.batches import Batch
from lightningd_py.observatory.record.messages import message_row
from lightningd_py.observatory.tables.schemas import IN, batch

T0 = 1_790_000_000_000_000_000
PEER = bytes([2]) * 33


def short(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()[:16]


def arrivals(vantage: str, *raws: bytes, at: int = T0, lost: int = 0, **row: Any) -> Batch:
    """A row for each, a nanosecond after the other."""
    about = {"dir": IN, "outcome": "new", "peer": PEER, **row}
    rows = [
        (
            at + number,
            *(vantage, short(raw), about["peer"], 7, False, about["dir"], "live"),
            *(int.from_bytes(raw[:2], "big"), len(raw), about["outcome"], None),
        )
        for number, raw in enumerate(raws)
    ]
    return Batch("arrivals", vantage, batch("arrivals", rows), lost)


def texts(vantage: str, *raws: bytes) -> Batch:
    """The rows of `messages`."""
    rows = [message_row(vantage, T0, hashlib.sha256(raw).digest(), raw, True) for raw in raws]
    return Batch("messages", vantage, batch("messages", rows), 0)
