"""replay: a record said again, or a day that never was."""

import argparse
import time
from pathlib import Path

from lightningd_py.observatory import show
from lightningd_py.observatory.arguments import a_duration, a_place, a_time
from lightningd_py.observatory.replay.again import replay_into_feed, replay_to_node
from lightningd_py.observatory.replay.day import Sizes, plan_day
from lightningd_py.observatory.replay.synthetic import say_day
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.tools.synthetic_map import Edge, SyntheticMap, random_edges, read_topology
from wire.command import console
from wire.types import NETWORKS

_DEFAULTS = Sizes()


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommand's words."""
    parser = commands.add_parser(
        "replay",
        help="say a record again, into a feed or to a node; or a made-up day",
        description="Say again what was heard from T1 to T2; or, with --synthetic, let scripted peers say a made-up "
        "day of the network to nodes, and write down the truth about it.",
    )
    parser.add_argument("folder", type=a_place, nargs="?", metavar="DIR", help="what was recorded")
    parser.add_argument("time1", type=a_time, nargs="?", metavar="T1")
    parser.add_argument("time2", type=a_time, nargs="?", metavar="T2")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="so many times as fast (default 1)")
    parser.add_argument("--vantage", metavar="NAME", help="only what this vantage point heard")
    parser.add_argument("--feed", type=Path, metavar="PATH", help="publish it there, as a node's feed does")
    target = "say it to this node, ID@HOST:PORT; with --synthetic NAME=ID@HOST:PORT, and more than one"
    parser.add_argument("--node", action="append", default=[], metavar="NODE", help=target)
    parser.add_argument("--network", choices=NETWORKS, default="regtest", help="of the node (default regtest)")
    parser.add_argument("--peers", type=int, default=_DEFAULTS.peers, metavar="N", help="scripted peers (default 40)")
    parser.add_argument("--synthetic", action="store_true", help="a made-up day instead of a record")
    parser.add_argument("--seconds", type=a_duration, default=600.0, metavar="TIME", help="the day's (default 600s)")
    parser.add_argument("--events", type=int, default=5_000, metavar="N", help="new messages of it (default 5000)")
    parser.add_argument("--channels", type=int, default=1_000, metavar="N", help="of the map (default 1000)")
    parser.add_argument("--topology", type=Path, metavar="FILE", help="the map's graph, as synthetic_map reads it")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="another number, another day (default 1)")
    parser.add_argument("--truth", type=a_place, metavar="DIR", help="write what was said as a record")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.synthetic:
        return _synthetic(options)
    if options.time2 is None:
        raise ObservatoryError("what is to be said again? DIR T1 T2, or --synthetic")
    if (options.feed is None) == (not options.node):
        raise ObservatoryError("where is it to be said? --feed PATH or --node ID@HOST:PORT, one of them")
    if options.speed <= 0 or options.time1 > options.time2:
        raise ObservatoryError("T1 is later than T2" if options.speed > 0 else "--speed is more than 0")
    record = Record(options.folder, lambda sentence: console.complain("lightning-observatory", sentence))
    window = (options.time1, options.time2)
    with show.progress("saying again") as progress:
        if options.feed is not None:
            count = replay_into_feed(record, window, options.feed, options.speed, options.vantage, progress)
        else:
            (node,) = options.node
            count = replay_to_node(
                record, window, node, options.network, options.speed, options.peers, options.vantage, progress
            )
    print(f"{count:,} messages were said")
    return 0


def _synthetic(options: argparse.Namespace) -> int:
    targets = dict(node.split("=", 1) for node in options.node if "=" in node)
    if not targets or len(targets) < len(options.node):
        raise ObservatoryError("to whom is it to be said? --node NAME=ID@HOST:PORT, once or more, with different names")
    sizes = Sizes(options.peers, options.seconds, options.events, sync=max(2.0, options.channels / 500))
    made = SyntheticMap(_edges(options), options.seed, int(time.time()), NETWORKS[options.network])
    with show.progress("signing"):
        day = plan_day(made, sizes, options.seed)
    with show.progress("saying the day") as progress:
        told = say_day(day, targets, options.network, options.seed, options.truth, progress)
    print(f"{told.arrivals:,} messages were said, {told.messages:,} different ones")
    return 0


def _edges(options: argparse.Namespace) -> list[Edge]:
    try:
        if options.topology is not None:
            return read_topology(options.topology)[: options.channels]
        return random_edges(options.seed, options.channels, max(2, options.channels // 3))
    except ValueError as error:
        raise ObservatoryError(str(error)) from error
