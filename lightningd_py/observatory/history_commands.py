"""as-of, diff, propagation, noisy, openings, first-responders: what is asked of a record."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightningd_py.export.output import new_text
from lightningd_py.observatory import show
from lightningd_py.observatory.arguments import a_place, a_time
from lightningd_py.observatory.history.as_of import COUNTS, FORMATS, write_as_of
from lightningd_py.observatory.history.habits import USUAL, noisy, openings
from lightningd_py.observatory.history.map_then import MapThen, counts, difference, map_then, vantage_points
from lightningd_py.observatory.history.spread import (
    SHARES,
    Spread,
    Window,
    first_responders,
    propagation_of,
    propagation_of_top,
)
from lightningd_py.observatory.history.svg import plot_propagation
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.tables.reading import Record
from lightningd_py.observatory.tables.times import SECOND_NS, shown, shown_duration
from wire.command import console

Run = Callable[[argparse.Namespace, Record], None]
PERCENTILES = [f"p{round(share * 100)}_ns" for share in SHARES]
DAY_NS = 86_400 * SECOND_NS


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommands' words."""
    _add_as_of(commands)
    _add_diff(commands)
    _add_propagation(commands)
    _add_habits(commands)


def _parser(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, what: str, run: Run
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.", epilog=_TIMES)
    parser.add_argument("folder", type=a_place, metavar="DIR", help="what was recorded")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.set_defaults(run=lambda options: _run(options, run))
    return parser


_SYNC = "count what peers say in their first sync, too"
_TIMES = "A TIME is ISO 8601 (UTC if it does not say), unix seconds, `now`, or `-2h` before now (s, m, h, d, w)."


def _run(options: argparse.Namespace, run: Run) -> int:
    run(options, Record(options.folder, lambda sentence: console.complain("lightning-observatory", sentence)))
    return 0


def _add_window(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", type=a_time, metavar="TIME", help="default: a day before --until")
    parser.add_argument("--until", type=a_time, metavar="TIME", help="default: now")


def _window(options: argparse.Namespace) -> Window:
    until = options.until if options.until is not None else time.time_ns()
    since = options.since if options.since is not None else max(0, until - DAY_NS)
    if since > until:
        raise ObservatoryError("--since is later than --until")
    return Window(since, until, getattr(options, "sync", False))


# the map


def _add_as_of(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _parser(commands, "as-of", "the map of the network as it was at a time", _as_of)
    parser.add_argument("time", type=a_time, metavar="TIME")
    parser.add_argument("--format", choices=FORMATS, default=COUNTS, help="default: counts")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to; - is standard output")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("--vantage", metavar="NAME", help="whose map (default: that with the newest checkpoint)")


def _as_of(options: argparse.Namespace, record: Record) -> None:
    if options.format != COUNTS and options.output is None:
        raise ObservatoryError(f"where is the {options.format} to go? --output FILE says it")
    then = _map(record, options.time, options.vantage)
    if options.format != COUNTS:
        write_as_of(record, then, options.format, options.output, force=options.force)
        return
    found = counts(then)
    if options.json:
        show.as_json({"at_ns": then.at_ns, "vantage": then.vantage, **found._asdict()})
        return
    print(f"{shown(then.at_ns)}, as {then.vantage} had it")
    for name, value in found._asdict().items():
        print(f"{name.replace('_', ' '):16} {value:>16,}")


def _map(record: Record, at_ns: int, vantage: str | None) -> MapThen:
    then = map_then(record, at_ns, vantage)
    others = [name for name in vantage_points(record) if name != then.vantage] if vantage is None else []
    if others:
        sentence = f"the map of {then.vantage} is taken; --vantage chooses among it and {', '.join(others)}"
        console.complain("lightning-observatory", sentence)
    return then


def _add_diff(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _parser(commands, "diff", "what has changed on the map from one time to another", _diff)
    parser.add_argument("time1", type=a_time, metavar="T1")
    parser.add_argument("time2", type=a_time, metavar="T2")
    parser.add_argument("--vantage", metavar="NAME", help="whose map (default: that with the newest checkpoint)")


def _diff(options: argparse.Namespace, record: Record) -> None:
    one = _map(record, options.time1, options.vantage)
    found = difference(one, map_then(record, options.time2, one.vantage))
    if options.json:
        show.as_json({name: [_named(each) for each in values] for name, values in found._asdict().items()})
        return
    for name, values in found._asdict().items():
        print(f"{name.replace('_', ' '):16} {len(values):>10,}  {' '.join(map(_named, values[:3]))}".rstrip())


def _named(value: Any) -> str:
    match value:
        case int():
            return show.scid(value)
        case (scid, direction):
            return f"{show.scid(scid)}/{direction}"
    return str(value.hex())


# messages


def _add_propagation(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = "how long messages took from their first arrival to the other peers and vantage points"
    parser = _parser(commands, "propagation", what, _propagation)
    help_ = "a SHA256 or its first 8 digits or more, a short_channel_id, a node_id (default: --top)"
    parser.add_argument("message", nargs="?", metavar="MESSAGE", help=help_)
    parser.add_argument("--top", type=int, default=10, metavar="N", help="those that most peers said (default 10)")
    parser.add_argument("--peers", type=int, default=2, metavar="N", help="`all` is of those that N said (default 2)")
    parser.add_argument("--sync", action="store_true", help=_SYNC)
    parser.add_argument("--svg", type=Path, metavar="FILE", help="write a plot")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    _add_window(parser)


def _propagation(options: argparse.Namespace, record: Record) -> None:
    window = _window(options)
    with show.progress("reading arrivals"):
        if options.message is not None:
            found = propagation_of(record, options.message, window, delays=options.svg is not None)
        else:
            found = propagation_of_top(record, options.top, window, options.peers, delays=options.svg is not None)
    if options.svg is not None:
        with new_text(options.svg, force=options.force) as file:
            title = f"{found.all['messages']:,} messages, {found.all['receipts']:,} receipts"
            file.write(plot_propagation(found.delays, title))
    if options.json:
        show.as_json({"messages": found.messages, "all": found.all})
    else:
        _show_spread(found)


def _show_spread(found: Spread) -> None:
    head = ("message", "type", "first seen", "peers", *(name[:-3] for name in PERCENTILES), "last")
    rows = [
        (
            show.short(row["hash"]),
            show.KINDS.get(row["type"], str(row["type"])),
            shown(row["first_seen_ns"]),
            str(row["peers"]),
            *_delays(row),
        )
        for row in found.messages
    ]
    everything = found.all
    rows.append(
        ("all", f"{everything['messages']:,} messages", "", f"{everything['receipts']:,}", *_delays(everything))
    )
    show.as_table(head, rows)


def _delays(row: dict[str, Any]) -> list[str]:
    return [shown_duration(row[name]) for name in (*PERCENTILES, "max_ns")]


# habits


def _add_habits(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = _parser(commands, "noisy", "which channels and nodes announce most", _noisy)
    parser.add_argument("--top", type=int, default=10, metavar="N", help="rows (default 10)")
    parser.add_argument("--limit", type=float, default=USUAL, metavar="N", help=f"a day (default {USUAL})")
    _add_window(parser)
    parser = _parser(commands, "openings", "channels that came onto the map, by block", _openings)
    _add_window(parser)
    parser = _parser(commands, "first-responders", "which peers say things before others", _responders)
    parser.add_argument("--top", type=int, default=20, metavar="N", help="rows (default 20)")
    parser.add_argument("--peers", type=int, default=2, metavar="N", help="of messages that N said (default 2)")
    parser.add_argument("--sync", action="store_true", help=_SYNC)
    _add_window(parser)


def _noisy(options: argparse.Namespace, record: Record) -> None:
    found = noisy(record, _window(options), options.top, options.limit)
    if options.json:
        show.as_json(found._asdict())
        return
    rows = [(f"{show.scid(row['scid'])}/{row['direction']}", *_said(row)) for row in found.channels]
    rows += [(row["node_id"].hex(), *_said(row)) for row in found.nodes]
    show.as_table(("who", "messages", "contents", "a day"), rows)
    print(f"above {options.limit:g} a day: {found.channels_above:,} of {found.channels_seen:,} directions of channels,")
    print(f"{found.nodes_above:,} of {found.nodes_seen:,} nodes")


def _said(row: dict[str, Any]) -> tuple[str, str, str]:
    return f"{row['messages']:,}", f"{row['contents']:,}", f"{row['per_day']:,.1f}"


def _openings(options: argparse.Namespace, record: Record) -> None:
    found = openings(record, _window(options))
    if options.json:
        show.as_json(found)
        return
    rows = [
        (str(row["block"]), str(row["channels"]), _amount(row["capacity_sat"]), shown(row["first_seen_ns"]))
        for row in found
    ]
    show.as_table(("block", "channels", "capacity", "first seen"), rows)


def _amount(sat: int | None) -> str:
    return "-" if sat is None else f"{sat:,} sat"


def _responders(options: argparse.Namespace, record: Record) -> None:
    found = first_responders(record, _window(options), options.peers)[: options.top]
    if options.json:
        show.as_json(found)
        return
    rows = [
        (
            row["vantage"],
            row["peer"].hex(),
            f"{row['messages']:,}",
            f"{row['firsts']:,}",
            f"{row['share_first']:.1%}",
            f"{row['mean_rank']:.2f}",
            shown_duration(row["p50_ns"]),
        )
        for row in found
    ]
    show.as_table(("vantage", "peer", "messages", "first", "share", "mean rank", "p50 behind"), rows)
