"""import and export: files of others into a record, and a record as theirs."""

import argparse
import itertools
import time
from collections.abc import Iterator

from lightningd_py.export.output import new_bytes, new_path
from lightningd_py.observatory import show
from lightningd_py.observatory.arguments import a_place, a_time
from lightningd_py.observatory.exchange.exporting import export_gossip_observer
from lightningd_py.observatory.exchange.gsp import read_gsp, write_gsp
from lightningd_py.observatory.exchange.importing import (
    Importing,
    import_gossip_observer,
    import_messages,
    import_store,
)
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.query import Query, asking
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.times import SECOND_NS, shown
from wire.command import console

OBSERVER, GSP, STORE = "gossip-observer", "gsp", "gossip-store"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommands' words."""
    parser = commands.add_parser("import", help="take in files of others", description=__doc__)
    parser.add_argument("kind", choices=(OBSERVER, GSP, STORE))
    parser.add_argument(
        "files", type=a_place, nargs="+", metavar="FILE", help="a folder of gossip_observer's, or files"
    )
    parser.add_argument("folder", type=a_place, metavar="DIR", help="the record; made if it is not there")
    parser.add_argument("--vantage", metavar="NAME", help="as which vantage point (default: the kind)")
    parser.add_argument("--at", type=a_time, metavar="TIME", help="whose map it is (default: when FILE was written)")
    parser.set_defaults(run=_import)
    parser = commands.add_parser("export", help="write files for others", description=__doc__)
    parser.add_argument("kind", choices=(OBSERVER, GSP))
    parser.add_argument("folder", type=a_place, metavar="DIR", help="the record")
    parser.add_argument("output", type=a_place, metavar="FILE", help="where to: a folder of Parquet, or a file")
    parser.add_argument("--since", type=a_time, metavar="TIME", help="default: all")
    parser.add_argument("--until", type=a_time, metavar="TIME", help="default: now")
    parser.add_argument("--force", action="store_true", help="overwrite it")
    parser.set_defaults(run=_export)


def _say(sentence: str) -> None:
    console.complain("lightning-observatory", sentence)


def _import(options: argparse.Namespace) -> int:
    for path in options.files:
        if not path.exists():
            raise ObservatoryError(f"{path} is not there")
    vantage = options.vantage or options.kind
    with show.progress("importing") as progress, Importing(options.folder, vantage, progress) as into:
        if options.kind == OBSERVER:
            for path in options.files:
                import_gossip_observer(into, path, vantage)
        else:
            at_ns = options.at or int(max(path.stat().st_mtime for path in options.files)) * SECOND_NS
            if options.kind == STORE:
                for path in options.files:
                    import_store(into, path, vantage, at_ns)
            else:
                left_out = import_messages(into, itertools.chain(*map(read_gsp, options.files)), vantage, at_ns)
                if left_out:
                    _say(f"{left_out:,} messages were left out: older than others, without a channel, or unreadable")
            _say(f"it is the map of {vantage} at {shown(at_ns)}")
    _say(f"{into.rows:,} rows")
    return 0


def _export(options: argparse.Namespace) -> int:
    record = Record(options.folder, _say)
    until = options.until if options.until is not None else time.time_ns()
    if options.kind == OBSERVER:
        with show.progress("exporting"), new_path(options.output, force=options.force) as part:
            part.mkdir()
            done = export_gossip_observer(record, part, options.since, until)
        _say(f"{done.timings:,} arrivals and {done.messages:,} messages of {done.days} days")
        return 0
    with new_bytes(options.output, force=options.force) as file:
        count = write_gsp(file, _messages(record, options.since, until))
    _say(f"{count:,} messages")
    return 0


def _messages(record: Record, since_ns: int | None, until_ns: int | None) -> Iterator[bytes]:
    """Each message once, in the order of their first sight."""

    def ask(query: Query) -> list[tuple[bytes]]:
        query.load("messages", ["hash", "raw", "type"], since_ns, until_ns)
        return query.rows(
            "SELECT any_value(raw) FROM messages WHERE type IN (256, 257, 258) GROUP BY hash "
            "ORDER BY min(first_seen_ns), hash"
        )

    return (raw for (raw,) in asking(record, ask))
