"""`record`: the recorder beside a node, until a signal ends it."""

import argparse
import contextlib
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightningd_py.observatory import jetstream_commands
from lightningd_py.observatory.arguments import a_duration, a_place, a_size, add_metrics
from lightningd_py.observatory.jetstream.access import access
from lightningd_py.observatory.record.feed_rows import vantage_in
from lightningd_py.observatory.record.lock import Lock
from lightningd_py.observatory.record.recorder import Recorder, Settings, Status
from lightningd_py.observatory.tables.names import file_name
from lightningd_py.observatory.tables.times import shown_duration
from lightningd_py.tools.feed_client import Feed, Keys
from wire.bus.feed import FeedError
from wire.bus.feed_batches import Values
from wire.command import console

if TYPE_CHECKING:
    from lightningd_py.observatory.jetstream.publisher import Progress, Publisher

TOPICS, SENT = ("gossip.", "map.", "peer."), "sent."
QUEUE = 25_000
"""Batches of up to 4 kB that wait in this process, or messages if the node makes no batches."""
SAID_EVERY = 60.0
BEHIND_NS = 10_000_000_000
LOOK_AGAIN = 0.5
"""Seconds between two tries, before the feed was there for the first time."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommand's words."""
    parser = commands.add_parser("record", help="record what a node's feed says", description=__doc__)
    parser.add_argument("folder", type=a_place, metavar="DIR", help="where to; made if it is not there")
    parser.add_argument("--feed", metavar="PATH", help="the node's feed (default ~/.lightning-py/bitcoin/feed)")
    parser.add_argument("--feed-key", type=Path, metavar="FILE", help="for tcp: our key; server.key lies beside it")
    parser.add_argument(
        "--vantage", metavar="NAME", help="the vantage point's name (default: what the feed says, else the host's)"
    )
    parser.add_argument(
        "--store", metavar="FILE", help="the node's gossip_store (default: beside the feed; `none` reads none)"
    )
    parser.add_argument(
        "--convert-every", type=a_duration, default=3600.0, metavar="TIME", help="hour files so often (default 1h)"
    )
    parser.add_argument(
        "--quota", type=a_size, default=4 << 30, metavar="SIZE", help="bytes of spool at most (default 4G)"
    )
    parser.add_argument("--sent", action="store_true", help="what the node says, too: perhaps a hundred times as much")
    parser.add_argument("--keep", type=int, default=0, metavar="DAYS", help="days of hour files (default 0: all)")
    parser.add_argument("--quiet", action="store_true", help="say only what goes wrong")
    jetstream_commands.add_access(parser, needed=False)
    parser.add_argument(
        "--spool-time",
        type=a_duration,
        default=48 * 3600.0,
        metavar="TIME",
        help="with --nats: keep what the servers have so long (default 48h)",
    )
    add_metrics(parser, "record")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    where = options.feed or str(console.home("--feed") / ".lightning-py/bitcoin/feed")
    if options.nats:
        access(options)  # whatever is wrong is said at once
    ended: list[bool] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(console.on_end(lambda: ended.append(True)))
        opener = _opener(where, options.feed_key, (*TOPICS, SENT) if options.sent else TOPICS)
        found = _first(opener, options.vantage, ended)
        if found is None:
            return 0
        first, vantage = found
        stack.callback(Lock(options.folder, vantage).close)
        publisher = None if options.nats is None else _publisher(options, vantage)
        watch = _Watch(publisher, quiet=options.quiet)
        if options.metrics_addr is not None:
            stack.enter_context(_metrics(options, vantage, watch))
        recorder = Recorder(_settings(options, vantage, where), opener, _say, watch=watch)
        if publisher is not None:
            publisher.start()
            stack.callback(publisher.stop)
        stack.enter_context(console.on_end(recorder.stop))
        if ended:
            recorder.stop()
        _say(f"{vantage} is recorded into {options.folder}")
        recorder.run(first)
    return 0


def _settings(options: argparse.Namespace, vantage: str, where: str) -> Settings:
    convert_every = None if options.nats else options.convert_every
    return Settings(options.folder, vantage, _store(options.store, where), convert_every, options.quota, options.keep)


def _publisher(options: argparse.Namespace, vantage: str) -> "Publisher":
    from lightningd_py.observatory.jetstream.publisher import Publisher, Sending

    sending = Sending(access(options), options.network, options.spool_time)
    return Publisher(options.folder, file_name(vantage), sending, _say)


def _metrics(options: argparse.Namespace, vantage: str, watch: "_Watch") -> contextlib.AbstractContextManager[Any]:
    """Raises ObservatoryError if it cannot listen there."""
    from lightningd_py.observatory.metrics.serving import Serving
    from lightningd_py.observatory.record_metrics import values

    return Serving(options.metrics_addr, "record", lambda: values(vantage, watch.status, watch.progress()), _say)


def _opener(where: str, key: Path | None, topics: Sequence[str]) -> Callable[[], Feed]:
    keys = None if key is None else Keys(key, key.parent / "server.key")
    return lambda: Feed(where, topics, keys=keys, queue=QUEUE, patience=2.0, batches=True)


def _first(
    opener: Callable[[], Feed], vantage: str | None, ended: list[bool]
) -> tuple[tuple[Feed, tuple[str, Values]] | None, str] | None:
    """The vantage point's name: if none is given, the feed is asked for its first message. None if a signal came."""
    if vantage is not None:
        return None, vantage
    said = ""
    while not ended:
        try:
            feed = opener()
            while not ended:
                message = feed.values(LOOK_AGAIN)
                if message is not None:
                    return (feed, message), vantage_in(message[1]) or platform.node() or "here"
            feed.close()
        except FeedError as error:
            if str(error) != said:
                said = str(error)
                _say(f"{said}; it is tried again until it is there")
            time.sleep(LOOK_AGAIN)
    return None


def _store(given: str | None, feed: str) -> Path | None:
    if given is not None:
        return None if given == "none" else Path(given)
    beside = Path(feed.removeprefix("ipc://")).parent / "gossip_store"
    return beside if "tcp://" not in feed and beside.exists() else None


def _say(sentence: str) -> None:
    console.complain("lightning-observatory", sentence)


class _Watch:
    """Says how the recording goes, once a minute; if it is to be quiet, when it is behind, or has lost something."""

    def __init__(self, publisher: "Publisher | None", *, quiet: bool) -> None:
        self._publisher = publisher
        self._quiet = quiet
        self._lost = 0
        self.status = Status(0, 0, None, 0, "")
        self._due = time.monotonic() + SAID_EVERY

    def __call__(self, status: Status) -> None:
        now = time.monotonic()
        self.status = status
        if now < self._due:
            return
        is_behind = status.lag_ns is not None and status.lag_ns > BEHIND_NS
        if self._quiet and not is_behind and status.lost == self._lost:
            return
        self._lost = status.lost
        self._due = now + SAID_EVERY
        _say(
            f"{status.messages:,} messages, {status.lost:,} rows lost, lag {shown_duration(status.lag_ns)}, "
            f"{status.spool_bytes:,} bytes in open segments{self._sent()}"
        )
        sys.stderr.flush()

    def progress(self) -> "Progress | None":
        """Of what is sent, if anything is."""
        return None if self._publisher is None else self._publisher.progress()

    def _sent(self) -> str:
        progress = self.progress()
        if progress is None:
            return ""
        return f"; {progress.batches:,} batches sent, {progress.waiting_bytes:,} bytes wait"
