"""`rgs`: rapid gossip sync snapshots from a gossip_store, written at each step and served, until a signal ends it."""

import argparse
import asyncio
import contextlib
import time
from pathlib import Path

from gossipd.gossmap import StoreError
from lightningd_py.observatory.arguments import a_duration, an_ip_address
from lightningd_py.observatory.rgs.service import Service
from lightningd_py.observatory.rgs.snapshots import Snapshots
from lightningd_py.observatory.tables.errors import ObservatoryError
from wire.address import WireAddr
from wire.command import console
from wire.types import NETWORKS

PORT = 9740
LEAST, MOST = 60.0, 43_200.0
"""Seconds between two steps."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommand's words."""
    parser = commands.add_parser("rgs", help="serve rapid gossip sync snapshots of a map", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="for snapshots and their history; made if not there")
    parser.add_argument(
        "--store", type=Path, metavar="FILE", help="the gossip_store (default ~/.lightning-py/NETWORK/gossip_store)"
    )
    parser.add_argument("--network", choices=NETWORKS, default="bitcoin", help="default bitcoin")
    parser.add_argument(
        "--listen",
        type=an_ip_address(PORT),
        default=f"127.0.0.1:{PORT}",
        metavar="IP[:PORT]",
        help=f"default 127.0.0.1:{PORT}",
    )
    parser.add_argument("--interval", type=_interval, default=10_800, metavar="TIME", help="between steps (default 3h)")
    parser.add_argument("--once", action="store_true", help="one step, without a server: for another one's files")
    parser.set_defaults(run=_run)


def _interval(text: str) -> int:
    seconds = a_duration(text)
    if not LEAST <= seconds <= MOST:
        raise argparse.ArgumentTypeError(f"{text} is not between a minute and 12 hours")
    return int(seconds)


def _run(options: argparse.Namespace) -> int:
    store = options.store or console.home("--store") / ".lightning-py" / options.network / "gossip_store"
    try:
        with contextlib.closing(Snapshots(options.folder, store, options.interval, NETWORKS[options.network])) as found:
            if found.warning:
                _say(found.warning)
            if options.once:
                history = found.step(time.time())
                _say(f"step {history.now}: {len(history.channels):,} channels, {len(history.nodes):,} nodes")
            else:
                asyncio.run(_serve(found, options.listen))
    except StoreError as error:
        raise ObservatoryError(str(error).rstrip(".")) from error
    return 0


async def _serve(found: Snapshots, address: WireAddr) -> None:
    ended = asyncio.Event()
    for number in console.END_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        await Service(found, _say).run(address.host, address.port, ended)
    except OSError as error:
        if error.filename:
            raise
        raise ObservatoryError(f"it cannot be served at {address}: {console.reason(error)}") from error


def _say(sentence: str) -> None:
    console.complain("lightning-observatory", sentence)
