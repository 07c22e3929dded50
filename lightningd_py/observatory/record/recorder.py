"""The recorder itself: one thread that reads the feed and writes the spool, one that makes hour files of it.

    feed -> FeedRows -> Rows -> batches -> Spool -> Conversion -> hour files

The reading of the feed never waits: for a disk that is full rows are counted as lost, and recording goes on by itself.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from lightningd_py.observatory.record.checkpoint import Checkpoint, Row, StoreError
from lightningd_py.observatory.record.clock import Clock
from lightningd_py.observatory.record.conversion import closed_segments
from lightningd_py.observatory.record.conversions import Conversions
from lightningd_py.observatory.record.feed_rows import FeedRows
from lightningd_py.observatory.record.place import known_place
from lightningd_py.observatory.record.quota import evict, remove_old_days
from lightningd_py.observatory.record.rows import Rows
from lightningd_py.observatory.record.spool import Spool
from lightningd_py.observatory.record.writing import Trouble, Writing
from lightningd_py.observatory.tables.names import SPOOL, SegmentName, file_name, hour_of
from lightningd_py.observatory.tables.segment import is_cut, whole_size
from wire.bus.feed import FeedError
from wire.bus.feed_batches import Values

LONGEST_BATCH, SYNC_EVERY, SEGMENT_TIME, LOOK_EVERY = 0.5, 1.0, 60.0, 10.0
"""Seconds until rows are written, until they are on the disk, that a segment is written to, between looks at quotas."""
GRACE = 5.0
"""Seconds after an hour's end in which its last rows may come."""
DAY_HOURS = 24
FIRST_PAUSE, LONGEST_PAUSE, TURN = 0.25, 10.0, 0.1
"""Seconds before the feed is tried again; and that nothing else is done for."""
CHECKPOINT_ROWS, CHECKPOINT_AFTER = 200, 400
"""Rows of a checkpoint that are made at a time, and messages of a busy feed that are taken before the next ones."""
QUOTA, CUT, RECONNECT, START = "quota", "cut", "reconnect", "start"


class Subscription(Protocol):
    """`lightningd_py.tools.feed_client.Feed`."""

    def values(self, timeout: float | None = None) -> tuple[str, Values] | None: ...
    def close(self) -> None: ...


class Settings(NamedTuple):
    """`convert_every`: seconds from one conversion to the next besides that of each hour's end; None if there are to be
    no hour files, and the spool is another's to empty. `quota`: bytes of spool. `keep`: days of hour files, 0 for all.
    `store`: the node's gossip_store, None if there is none to read."""

    folder: Path
    vantage: str
    store: Path | None = None
    convert_every: float | None = 3600.0
    quota: int = 4 << 30
    keep: int = 0


class Status(NamedTuple):
    """`lag_ns`: how old the last message was when it was taken; None before the first. `trouble`: empty if none."""

    messages: int
    lost: int
    lag_ns: int | None
    spool_bytes: int
    trouble: str


class Recorder:
    """Records until `stop`. The lock on the folder is the caller's (record/lock.py)."""

    def __init__(
        self,
        settings: Settings,
        open_feed: Callable[[], Subscription],
        say: Callable[[str], None],
        now_ns: Callable[[], int] = time.time_ns,
        watch: Callable[[Status], None] = lambda status: None,
    ) -> None:
        """`watch` is called twice a second. Mends what a recorder that was killed has left. Raises OSError."""
        self.settings = settings
        self._open_feed, self._say, self._now_ns, self._watch = open_feed, say, now_ns, watch
        self._name = file_name(settings.vantage)
        self._rows = Rows()
        cut = list(self._mend())
        self._feed_rows = FeedRows(settings.vantage, self._rows, known_place(settings.folder, self._name), now_ns)
        for table, why in (("", START), *((table, CUT) for table in cut)):
            self._feed_rows.lost(table, None, None, why)
        self._spool = Spool(settings.folder, self._name, now_ns())
        self._writing = Writing(self._rows, self._feed_rows, self._spool, say)
        self._feed_trouble = Trouble(say, "the feed is there")
        self._clock = Clock(settings.vantage, now_ns)
        self._conversions = Conversions(settings.folder, self._name)
        self._checkpoint: Iterator[Row] | None = None
        self._stopping = False
        self._lag_ns: int | None = None
        self._hour = hour_of(now_ns())
        now = time.monotonic()
        self._flush_at, self._sync_at, self._rotate_at, self._look_at = now, now, now + SEGMENT_TIME, now + LOOK_EVERY
        self._convert_at = now if self._is_behind() else now + (settings.convert_every or 0.0)

    def _mend(self) -> Iterator[str]:
        """Cut from older segments what is not whole; the tables that lose something by it."""
        for part in (self.settings.folder / SPOOL).glob(f"{self._name}*.part"):
            part.unlink()
        for table, names in closed_segments(self.settings.folder, self._name, ()).items():
            for name in names:
                path = self.settings.folder / SPOOL / table / name
                if is_cut(path):
                    with path.open("r+b") as file:
                        file.truncate(whole_size(path))
                    yield table

    def _is_behind(self) -> bool:
        """A conversion was interrupted, or there is spool of hours that are over."""
        folder = self.settings.folder
        names = closed_segments(folder, self._name, ()).values()
        older = [SegmentName.parse(name) for found in names for name in found]
        waits = any(name is not None and hour_of(name.epoch) < self._hour for name in older)
        return waits or any((folder / SPOOL).glob(f"{self._name}-*.conver*"))

    def stop(self) -> None:
        """Let `run` end within half a second. May be called by a signal's handler."""
        self._stopping = True

    def status(self) -> Status:
        """As of now."""
        trouble = self._feed_trouble.sentence or self._writing.trouble.sentence
        return Status(self._feed_rows.taken, self._writing.lost, self._lag_ns, self._spool.size, trouble)

    def run(self, first: tuple[Subscription, tuple[str, Values]] | None = None) -> None:
        """Until `stop`; a feed that ends is tried again for ever. `first`: one that is open, and a message of it."""
        pause = FIRST_PAUSE
        try:
            while not self._stopping:
                try:
                    feed, message = first or (self._open_feed(), None)
                    first = None
                    with contextlib.closing(feed):
                        self._feed_trouble.is_now("")
                        self._feed_rows.begin()
                        self._begin_checkpoint()
                        if message is not None:
                            self._feed_rows.take(*message)
                        pause = FIRST_PAUSE
                        self._follow(feed)
                except FeedError as error:
                    self._feed_trouble.is_now(f"{error}; it is tried again until it is there")
                    self._wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            self._end()

    def _follow(self, feed: Subscription) -> None:
        """Read until it ends (FeedError) or `stop`."""
        take = self._feed_rows.take
        since_checkpoint = 0
        try:
            while not self._stopping:
                message = feed.values(0.0 if self._checkpoint else TURN)
                if message is not None:
                    take(*message)
                    since_checkpoint += 1
                if self._checkpoint is not None and (message is None or since_checkpoint >= CHECKPOINT_AFTER):
                    since_checkpoint = 0
                    self._make_checkpoint(self._checkpoint)
                if self._rows.full or time.monotonic() >= self._flush_at:
                    self._turn()
        except FeedError:
            self._feed_rows.lost("", None, None, RECONNECT)
            if self._feed_rows.place.epoch is None:
                self._feed_rows.place.last.clear()  # another run's numbers may come
            raise

    def _wait(self, pause: float) -> None:
        end = time.monotonic() + pause
        while not self._stopping and time.monotonic() < end:
            time.sleep(TURN)
            self._turn()

    # by the clock

    def _turn(self) -> None:
        """All that is due."""
        now = time.monotonic()
        self._look_at_clocks()
        if self._rows.full or now >= self._flush_at:
            self._flush()
            self._flush_at = now + LONGEST_BATCH
            self._watch(self.status())
        if now >= self._sync_at:
            self._writing.sync()
            self._sync_at = now + SYNC_EVERY
        if now >= self._rotate_at:
            self._spool.close()
            self._rotate_at = now + SEGMENT_TIME
        if now >= self._look_at:
            self._look()
            self._look_at = now + LOOK_EVERY
        if not self._conversions.is_running:
            self._convert(now)

    def _look_at_clocks(self) -> None:
        if self._feed_rows.last_ns:
            self._lag_ns = self._now_ns() - self._feed_rows.last_ns
            self._feed_rows.last_ns = 0
        row = self._clock.row()
        if row is not None:
            self._rows.add("clock", row)

    def _flush(self) -> None:
        self._writing.flush()
        if self._writing.failed & {"map", "messages"}:
            self._checkpoint = None  # it would lack what was not written
            self._feed_rows.map_was_lost = True

    def _look(self) -> None:
        """Quotas, and a map that is not known any more."""
        if self._feed_rows.map_was_lost and self._checkpoint is None and not self._writing.failed:
            self._begin_checkpoint()
        if self._conversions.is_running:
            return
        settings = self.settings
        with contextlib.suppress(OSError):
            for table, rows in evict(settings.folder, self._name, self._spool.paths, settings.quota):
                self._feed_rows.lost(table, None, rows, QUOTA)
                self._writing.lost += rows
            if settings.keep:
                remove_old_days(settings.folder, settings.keep, self._now_ns() / 1e9)

    def _convert(self, now: float) -> None:
        """At each hour's end, and every so often."""
        failed = self._conversions.failure()
        if failed:
            self._say(f"no hour files could be written, it is tried again: {failed}")
            self._convert_at = now + SEGMENT_TIME
            return
        hour = hour_of(self._now_ns() - int(GRACE * 1e9))
        every = self.settings.convert_every
        if hour <= self._hour and (every is None or now < self._convert_at):
            return
        if hour // DAY_HOURS != self._hour // DAY_HOURS:
            self._begin_checkpoint()
        self._hour = hour
        if every is None:
            return
        self._convert_at = now + every
        self._flush()
        self._spool.close()
        self._conversions.start(closed_segments(self.settings.folder, self._name, self._spool.paths))

    # the map

    def _begin_checkpoint(self) -> None:
        self._feed_rows.map_was_lost = False
        if self.settings.store is not None:
            self._checkpoint = iter(Checkpoint(self.settings.store, self.settings.vantage, self._now_ns()))

    def _make_checkpoint(self, rows: Iterator[Row]) -> None:
        try:
            for _ in range(CHECKPOINT_ROWS):
                table, row = next(rows)
                self._rows.add(table, row)
        except StopIteration:
            self._checkpoint = None
        except (StoreError, OSError, ValueError) as error:
            self._say(f"the map of the node could not be read: {error}")
            self._checkpoint = None

    def _end(self) -> None:
        self._flush()
        self._writing.sync()
        self._spool.close()
        self._conversions.wait()
