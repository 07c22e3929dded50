"""plot: pictures for reports, as SVG that follows its reader's colour scheme. What is plotted is a record; or, for
growth, capacity and fees, a gossip_store."""

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gossipd.gossmap import Gossmap, StoreError
from lightningd_py.export.output import STANDARD_OUTPUT, new_text
from lightningd_py.observatory.arguments import a_time
from lightningd_py.observatory.history.as_of import gossmap_then
from lightningd_py.observatory.history.growth import arrivals, growth
from lightningd_py.observatory.history.map_then import map_then
from lightningd_py.observatory.history.spread import Window, propagation_of_top
from lightningd_py.observatory.history.svg import (
    plot_arrivals,
    plot_capacities,
    plot_fees,
    plot_growth,
    plot_growth_by_block,
    plot_propagation,
)
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.times import SECOND_NS, shown
from wire.command import console
from wire.scid import block_of

DAY_NS = 86_400 * SECOND_NS
BINS = 144
"""Of arrivals: ten minutes of a day."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommand's words."""
    parser = commands.add_parser("plot", help="a picture for a report, as SVG", description=__doc__)
    parser.add_argument("what", choices=PLOTS, help="what is plotted")
    parser.add_argument("source", type=Path, metavar="SOURCE", help="a record, or a gossip_store")
    parser.add_argument("output", type=Path, nargs="?", default=STANDARD_OUTPUT, metavar="FILE", help="default: output")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("--since", type=a_time, metavar="TIME", help="default: a day before --until")
    parser.add_argument("--until", type=a_time, metavar="TIME", help="default: now; of capacity, fees: when")
    parser.add_argument("--vantage", metavar="NAME", help="whose map (default: that with the newest checkpoint)")
    parser.add_argument("--peers", type=int, default=2, metavar="N", help="propagation: what N said (default 2)")
    parser.add_argument("--sync", action="store_true", help="count what peers say in their first sync, too")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    options.until = time.time_ns() if options.until is None else options.until
    options.since = max(0, options.until - DAY_NS) if options.since is None else options.since
    if options.since > options.until:
        raise ObservatoryError("--since is later than --until")
    picture = PLOTS[options.what](options)
    with new_text(options.output, force=options.force) as file:
        file.write(picture)
    return 0


def _record(options: argparse.Namespace) -> Record:
    if options.source.is_file():
        raise ObservatoryError(f"{options.what} is plotted from a record, and {options.source} is a file")
    return Record(options.source, lambda sentence: console.complain("lightning-observatory", sentence))


@contextlib.contextmanager
def _map(options: argparse.Namespace) -> Iterator[tuple[Gossmap, str]]:
    """The map, and whose it is."""
    try:
        if options.source.is_file():
            with Gossmap(options.source) as gossmap:
                yield gossmap, options.source.name
            return
        record = _record(options)
        then = map_then(record, options.until, options.vantage)
        with gossmap_then(record, then) as gossmap:
            yield gossmap, f"{then.vantage}, {shown(then.at_ns)}"
    except StoreError as error:
        raise ObservatoryError(str(error).rstrip(".")) from error


def _growth(options: argparse.Namespace) -> str:
    if options.source.is_file():
        with _map(options) as (gossmap, name):
            blocks = [block_of(channel.short_channel_id) for channel in gossmap.channels()]
        return plot_growth_by_block(blocks, f"{len(blocks):,} channels by the block of their funding ({name})")
    found = growth(_record(options), options.since, options.until, options.vantage)
    times = options.since / SECOND_NS, options.until / SECOND_NS
    return plot_growth(found.points, *times, f"channels of {found.vantage}: {found.points[-1][1]:,} at the end")


def _capacity(options: argparse.Namespace) -> str:
    with _map(options) as (gossmap, name):
        known = [channel.capacity_sat for channel in gossmap.channels() if channel.capacity_sat]
    return plot_capacities(known, f"{len(known):,} channels by capacity, {sum(known) / 1e8:,.2f} BTC in all ({name})")


def _fees(options: argparse.Namespace) -> str:
    with _map(options) as (gossmap, name):
        sides = [side for channel in gossmap.channels() for side in map(channel.direction, (0, 1)) if side is not None]
        base = [side.fee_base_msat for side in sides]
        millionths = [side.fee_proportional_millionths for side in sides]
    return plot_fees(base, millionths, f"fees of {len(base):,} directions ({name})")


def _propagation(options: argparse.Namespace) -> str:
    window = Window(options.since, options.until, options.sync)
    found = propagation_of_top(_record(options), 1, window, options.peers)
    title = f"{found.all['messages']:,} messages, {found.all['receipts']:,} receipts"
    return plot_propagation(found.delays, title)


def _arrivals(options: argparse.Namespace) -> str:
    seconds = max(1, round((options.until - options.since) / SECOND_NS / BINS))
    counted = arrivals(_record(options), Window(options.since, options.until), seconds)
    total = sum(sum(bins.values()) for bins in counted.values())
    times = options.since / SECOND_NS, options.until / SECOND_NS
    return plot_arrivals(counted, *times, seconds, f"{total:,} arrivals, a minute")


PLOTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "growth": _growth,
    "capacity": _capacity,
    "fees": _fees,
    "propagation": _propagation,
    "arrivals": _arrivals,
}
