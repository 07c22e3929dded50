"""`init` and `archive`: the streams of many recorders, and a folder that is written from them."""

import argparse
import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any

from lightningd_py.observatory.arguments import a_duration, a_place, a_size, add_metrics
from lightningd_py.observatory.jetstream.access import access
from lightningd_py.observatory.jetstream.files import archive_files
from lightningd_py.observatory.jetstream.names import ARCHIVE
from lightningd_py.observatory.record.lock import Lock
from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.command import console

SAID_EVERY = 60.0


def add_access(parser: argparse.ArgumentParser, *, needed: bool) -> None:
    """Where the servers are, and what lets us in."""
    parser.add_argument(
        "--nats", metavar="URL", required=needed, help="NATS servers: nats://HOST:PORT or tls://, commas"
    )
    parser.add_argument("--nats-creds", type=Path, metavar="FILE", help="credentials for them (JWT and seed)")
    parser.add_argument("--nats-nkey", type=Path, metavar="FILE", help="or the seed of a user's nkey")
    parser.add_argument("--nats-ca", type=Path, metavar="FILE", help="certificates that vouch for them")
    parser.add_argument(
        "--network", default="bitcoin", metavar="NAME", help="part of the subjects' names (default bitcoin)"
    )


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommands' words."""
    init = commands.add_parser(
        "init", help="make the streams on NATS servers", description="Make or change the streams."
    )
    add_access(init, needed=True)
    init.add_argument(
        "--max-age", type=a_duration, default=72 * 3600.0, metavar="TIME", help="kept so long (default 72h)"
    )
    init.add_argument(
        "--max-bytes",
        type=a_size,
        default=8 << 30,
        metavar="SIZE",
        help="of the arrivals' stream, the others get an eighth (default 8G)",
    )
    init.add_argument("--replicas", type=int, default=1, metavar="N", help="servers that have each stream (default 1)")
    init.set_defaults(run=_init)
    archive = commands.add_parser("archive", help="write what is in the streams into a folder", description=__doc__)
    archive.add_argument("folder", type=a_place, metavar="DIR", help="where to; made if it is not there")
    add_access(archive, needed=False)
    archive.add_argument(
        "--files",
        type=a_place,
        nargs="+",
        metavar="RECORD",
        help="instead of --nats: take what is new in these folders of recorders, copied here, and end",
    )
    archive.add_argument(
        "--convert-every", type=a_duration, default=3600.0, metavar="TIME", help="hour files so often (default 1h)"
    )
    archive.add_argument("--quiet", action="store_true", help="say only what goes wrong")
    add_metrics(archive, "archive")
    archive.set_defaults(run=_archive)


def _init(options: argparse.Namespace) -> int:
    access_ = access(options)
    from lightningd_py.observatory.jetstream.connecting import connect
    from lightningd_py.observatory.jetstream.streams import Wanted, make_streams

    async def made() -> list[str]:
        client = await connect(access_, "init", lambda sentence: None)
        try:
            return await make_streams(
                client, Wanted(options.network, options.max_age, options.max_bytes, options.replicas)
            )
        finally:
            await client.close()

    for sentence in asyncio.run(made()):
        print(sentence)
    return 0


def _archive(options: argparse.Namespace) -> int:
    if (options.nats is None) == (options.files is None):
        raise ObservatoryError("one of --nats URL and --files RECORD is needed")
    with contextlib.closing(Lock(options.folder, ARCHIVE)):
        if options.files is None:
            _archive_streams(options, access(options))
        else:
            print(f"{archive_files(options.folder, options.files, _say):,} batches taken")
    return 0


def _archive_streams(options: argparse.Namespace, access_: Any) -> None:
    from lightningd_py.observatory.jetstream.archiver import Archiver, Settings

    async def run() -> None:
        archiver = Archiver(Settings(options.folder, access_, options.network, options.convert_every), _say)
        for number in console.END_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, archiver.stop)
        _say(f"{options.nats} is archived into {options.folder}")
        saying = asyncio.ensure_future(_tell(archiver)) if not options.quiet else None
        try:
            with _metrics(options, archiver):
                await archiver.run()
        finally:
            if saying is not None:
                saying.cancel()

    asyncio.run(run())


def _metrics(options: argparse.Namespace, archiver: Any) -> contextlib.AbstractContextManager[Any]:
    """Raises ObservatoryError if it cannot listen there."""
    if options.metrics_addr is None:
        return contextlib.nullcontext()
    from lightningd_py.observatory.archive_metrics import values
    from lightningd_py.observatory.metrics.serving import Serving

    return Serving(options.metrics_addr, "archive", lambda: values(archiver), _say)


async def _tell(archiver: Any) -> None:
    while True:
        await asyncio.sleep(SAID_EVERY)
        now_ns = time.time_ns()
        lags = [now_ns - point.newest_ns for point in archiver.points.by_name.values()]
        lag = f", the slowest {max(lags) / 1e9:.1f} s behind" if lags else ""
        _say(f"{archiver.tally.batches.total():,} batches of {len(lags)} vantage points{lag}")


def _say(sentence: str) -> None:
    console.complain("lightning-observatory", sentence)
