"""An archive's figures of now, as Prometheus has them."""

import time

from lightningd_py.observatory.jetstream.archiver import Archiver
from lightningd_py.observatory.metrics import declared
from lightningd_py.observatory.metrics.serving import Values


def values(archiver: Archiver) -> Values:
    """By metric and labels. May be called by any thread."""
    tally, now_ns, now = archiver.tally, time.time_ns(), time.monotonic()
    points = list(archiver.points.by_name.items())
    return {
        declared.BATCHES: {(table,): count for table, count in list(tally.batches.items())},
        declared.ROWS: {(table,): count for table, count in list(tally.rows.items())},
        declared.LEFT_OUT: dict(list(tally.losses.items())),
        declared.BEHIND: {(table,): count for table, count in list(tally.waiting.items())},
        declared.POINT_LAG: {(name,): (now_ns - point.newest_ns) / 1e9 for name, point in points},
        declared.POINT_SILENCE: {(name,): now - point.heard_at for name, point in points},
        declared.ARCHIVE_TROUBLE: {(): float(bool(archiver.trouble))},
    }
