"""A recorder's figures of now, as Prometheus has them."""

from typing import TYPE_CHECKING

from lightningd_py.observatory.metrics import declared
from lightningd_py.observatory.metrics.serving import Values
from lightningd_py.observatory.record.recorder import Status

if TYPE_CHECKING:
    from lightningd_py.observatory.jetstream.publisher import Progress


def values(vantage: str, status: Status, progress: "Progress | None") -> Values:
    """By metric and labels; without `progress` nothing is sent to NATS."""
    found = {
        declared.MESSAGES: status.messages,
        declared.LOST: status.lost,
        declared.SPOOL: status.spool_bytes,
        declared.TROUBLE: float(bool(status.trouble)),
    }
    if status.lag_ns is not None:
        found[declared.LAG] = status.lag_ns / 1e9
    if progress is not None:
        found |= {
            declared.SENT: progress.batches,
            declared.WAITING: progress.waiting_bytes,
            declared.REFUSED: float(bool(progress.trouble)),
            declared.CLOCK: progress.ahead_ns / 1e9,
        }
    return {metric: {(vantage,): value} for metric, value in found.items()}
