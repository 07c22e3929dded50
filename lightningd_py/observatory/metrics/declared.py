"""Every metric of `lightning-observatory record` and `archive`, declared once; docs/metrics.md is made from here."""

from wire.metrics.metric import Declarations

RECORDER, ARCHIVE = ("record",), ("archive",)

declared = Declarations()
"""All of them, by name."""
_counter, _gauge = declared.counter, declared.gauge

# a recorder

MESSAGES = _counter("recorder_messages", "messages of the feed that were taken", RECORDER, "vantage")
LOST = _counter(
    "recorder_rows_lost", "rows that the disk did not take, or that the quota has taken", RECORDER, "vantage"
)
LAG = _gauge("recorder_lag_seconds", "how old the last message was when it was taken", RECORDER, "vantage")
SPOOL = _gauge("recorder_open_bytes", "size of the segments that are written to", RECORDER, "vantage")
TROUBLE = _gauge("recorder_trouble", "1 while the feed or the disk is away", RECORDER, "vantage")
SENT = _counter("recorder_batches_sent", "batches that NATS has acknowledged", RECORDER, "vantage")
WAITING = _gauge("recorder_waiting_bytes", "of the spool, what NATS has not got yet", RECORDER, "vantage")
REFUSED = _gauge("recorder_nats_trouble", "1 while NATS does not take what is recorded", RECORDER, "vantage")
CLOCK = _gauge(
    "recorder_clock_ahead_seconds", "by how much this clock is ahead of that of the NATS server", RECORDER, "vantage"
)

# an archive

BATCHES = _counter("archive_batches", "batches that were archived", ARCHIVE, "table")
ROWS = _counter("archive_rows", "rows that were archived", ARCHIVE, "table")
LEFT_OUT = _counter(
    "archive_losses",
    "rows of `losses` that the archive itself has written",
    ARCHIVE,
    "table why",
    "why: unreadable (no batch), expired (the stream did not have what comes next any more)",
)
BEHIND = _gauge("archive_waiting_messages", "messages of the table's stream that are to be read yet", ARCHIVE, "table")
POINT_LAG = _gauge(
    "archive_vantage_lag_seconds",
    "how old the newest row of a vantage point is, less than 0: ahead",
    ARCHIVE,
    "vantage",
)
POINT_SILENCE = _gauge(
    "archive_vantage_silent_seconds", "since anything has come from a vantage point", ARCHIVE, "vantage"
)
ARCHIVE_TROUBLE = _gauge("archive_trouble", "1 while the streams cannot be read, or the disk takes nothing", ARCHIVE)
