"""`lightning-cli-py`: one command to a running node, with the habits of CLN's lightning-cli.

A table or plain lines for a person at a terminal, JSON into a pipe. Exit status: 0 done, 1 the node answered with an
error, 2 no node could be talked to, 3 the command line is wrong, 4 the result could not be written, 130 Ctrl-C.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from lightningd_py.cli.completion import script
from lightningd_py.cli.output import as_text, error_text, flat
from lightningd_py.cli.suggestions import did_you_mean, for_error
from lightningd_py.client import Heard, NotTalking, call, request
from lightningd_py.config.options import located, rpc_path
from lightningd_py.errors import StartError, UsageError
from wire.command.console import OutputError, complain, hear_interrupts, printing
from wire.command.parser import CommandParser
from wire.command.text import replaced
from wire.log.style import LEVELS
from wire.start.version import version
from wire.types import NETWORKS

COMMAND = "lightning-cli-py"
DONE, ERROR_REPLY, NOT_TALKING, WRONG_USAGE, NOT_WRITTEN, INTERRUPTED = 0, 1, 2, 3, 4, 130
_MAY_BEGIN_JSON = tuple('-0123456789tfn[{"')
_KEYWORD = re.compile(r"[a-z_]+=.*", re.DOTALL)


class _Parser(CommandParser):
    def error(self, message: str) -> NoReturn:
        unknown = re.fullmatch(r"unrecognized arguments: (--[^\s=]+).*", message)
        raise UsageError(message + (did_you_mean(unknown[1], self._option_string_actions) if unknown else ""))


def command(argv: Sequence[str]) -> int:
    """Do what the command line says; the exit status. A reader of the result that has seen enough is no error."""
    hear_interrupts()
    try:
        with printing():
            return _run(argv)
    except OutputError as error:
        complain(COMMAND, error)
        return NOT_WRITTEN
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: Sequence[str]) -> int:
    try:
        arguments = make_parser().parse_intermixed_args(list(argv))
        if arguments.method in OF_OURS:
            return OF_OURS[arguments.method](arguments)
        asked = _request(arguments)
        path = rpc_path(arguments.where)
        reply = _call(arguments, path, asked)
    except UsageError as error:
        complain(COMMAND, error)
        return WRONG_USAGE
    except (NotTalking, StartError) as error:
        complain(COMMAND, error)
        return NOT_TALKING
    _show(arguments, reply, path)
    return ERROR_REPLY if "error" in reply else DONE


def make_parser() -> _Parser:
    parser = _Parser(
        prog=COMMAND,
        usage="lightning-cli-py [OPTIONS] METHOD [PARAMETER...]",
        description="Give a command to a running lightningd-py. METHOD help lists the commands. METHOD feed shows all"
        " gossip live; its parameters are topics, or what they begin with. METHOD top is a live screen. METHOD"
        " probe asks nodes, named as ID@HOST:PORT or drawn from the map, what they know and give. METHOD export writes"
        " the map in a format of others. METHOD completion what bash, zsh or fish need.",
        allow_abbrev=False,
    )
    parser.set_defaults(where=[], style=None, keywords=None)
    for name in ("network", "lightning-dir", "conf", "rpc-file", "feed"):
        parser.add_argument(f"--{name}", action=_Where, metavar=name.upper(), help="as for lightningd-py")
    for name in ("mainnet", *(name for name in NETWORKS if name != "bitcoin")):
        parser.add_argument(f"--{name}", action=_Where, nargs=0, help="as for lightningd-py")
    parser.add_argument("-k", "--keywords", action="store_true", help="parameters are KEY=VALUE")
    parser.add_argument("-o", "--order", dest="keywords", action="store_false", help="parameters are in order")
    parser.add_argument("-j", "-J", "--json", dest="style", action="store_const", const="json", help="JSON")
    parser.add_argument("-R", "--raw", dest="style", action="store_const", const="raw", help="JSON in one line")
    parser.add_argument("-H", "--human-readable", dest="style", action="store_const", const="human", help="for people")
    parser.add_argument("-F", "--flat", dest="style", action="store_const", const="flat", help="a line a value")
    parser.add_argument("-l", "--filter", type=_json, metavar="JSON", help="which fields of the result to give")
    parser.add_argument(
        "-N",
        "--notifications",
        choices=("none", *LEVELS),
        metavar="LEVEL",
        help="say on standard error how the command goes: what is of this level and above",
    )
    parser.add_argument("--feed-key", type=Path, metavar="FILE", help="for feed on tcp: your key, beside server.key")
    _add_nats(parser)
    parser.add_argument("--dates", action="store_true", help="for feed: lines with the date and the time zone")
    parser.add_argument("--minutes", type=_minutes, default=2.0, metavar="T", help="for probe: how long (default 2)")
    parser.add_argument("--nodes", type=_count, default=8, metavar="N", help="for probe: of the map (default 8)")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="for probe: a plot")
    parser.add_argument("--store", type=Path, metavar="FILE", help="for export: any gossip_store instead of the node's")
    parser.add_argument("--force", action="store_true", help="for export: overwrite the file")
    parser.add_argument("--interval", type=_seconds, default=2.0, metavar="SECONDS", help="for top: between two looks")
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="print the version and exit")
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("params", metavar="PARAMETER", nargs="*")
    return parser


def _add_nats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nats", metavar="URL", help="for feed and top: of all vantage points that record to NATS there"
    )
    parser.add_argument("--nats-creds", type=Path, metavar="FILE", help="credentials for it (JWT and seed)")
    parser.add_argument("--nats-nkey", type=Path, metavar="FILE", help="or the seed of a user's nkey")
    parser.add_argument("--nats-ca", type=Path, metavar="FILE", help="certificates that vouch for it")
    parser.add_argument("--vantage", action="append", default=[], metavar="NAME", help="of this vantage point alone")


class _Where(argparse.Action):
    """Collects what is for `options.rpc_path`."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        option = str(option_string)
        namespace.where = [*namespace.where, option if self.nargs == 0 else f"{option}={values}"]


class _Version(argparse.Action):
    """argparse's own wants the version even when it is not asked for, and finding it takes as long as all else."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        print(version())
        parser.exit()


def _json(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{value} is no JSON") from error


def _number(value: str, least: float, most: float, unit: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = least - 1
    if not least <= found <= most:
        raise argparse.ArgumentTypeError(f"{value} is not a number of {unit} from {least:g} to {most:g}")
    return found


def _seconds(value: str) -> float:
    return _number(value, 0.1, 86_400, "seconds")


def _minutes(value: str) -> float:
    return _number(value, 0.01, 1_440, "minutes")


def _count(value: str) -> int:
    return int(_number(value, 1, 64, "nodes"))


def _request(arguments: argparse.Namespace) -> dict[str, Any]:
    asked = request(arguments.method, parameters(arguments.params, arguments.keywords))
    if arguments.filter is not None:
        asked["filter"] = arguments.filter
    return asked


def parameters(words: Sequence[str], keywords: bool | None) -> list[Any] | dict[str, Any]:
    """The words after the method as JSON. With no `keywords` the first word tells. Raises UsageError."""
    if keywords is None:
        keywords = bool(words) and _KEYWORD.fullmatch(words[0]) is not None
    if not keywords:
        return [parameter(word) for word in words]
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"expected key=value in '{word}'")
        found[key] = parameter(value)
    return found


def parameter(word: str) -> Any:
    """What is JSON to the letter is that; all else, as 02ab, 1.50, -0 or [tag], is a string. Raises UsageError."""
    if not word.isascii() and any("\ud800" <= letter <= "\udfff" for letter in word):  # bytes that are no UTF-8
        raise UsageError(f"{word!a} is no UTF-8")
    if not word.startswith(_MAY_BEGIN_JSON):
        return word
    try:
        value = json.loads(word)
        as_json = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return word
    return value if isinstance(value, dict | list | str) or as_json == word else word


def _feed(arguments: argparse.Namespace) -> int:
    """Shows the feed until Ctrl-C, or until the node ends."""
    from wire.bus.feed import TOPICS, FeedError

    for topic in arguments.params:
        if not any(known.startswith(topic) for known in TOPICS):
            near = did_you_mean(topic, {*TOPICS, *(known.partition(".")[0] + "." for known in TOPICS)})
            raise UsageError(f"no topic begins with '{topic}'" + (near or f": there are {', '.join(TOPICS)}"))
    as_json = _style(arguments) != "human"
    options = located(arguments.where, "feed")
    if arguments.nats is not None:
        return _feed_of_all(arguments, options.network, as_json=as_json)
    if not options.feed:
        raise UsageError("this node publishes no feed: --feed=none")
    from lightningd_py.cli import feed_output  # ZMQ and the map: no other command waits for them to be loaded

    try:
        how = {"as_json": as_json, "dated": arguments.dates}
        feed_output.follow(options.feed, arguments.params, arguments.feed_key, _say_now, **how)
    except FeedError as error:
        complain(COMMAND, error)
        return NOT_TALKING
    return DONE


def _feed_of_all(arguments: argparse.Namespace, network: str, *, as_json: bool) -> int:
    from lightningd_py.cli.nats_feed import NoNats, follow
    from wire.bus.feed import topics_of

    topics = topics_of([topic.encode() for topic in arguments.params or [""]])
    try:
        follow(arguments, network, topics, _say_now, lambda sentence: complain(COMMAND, sentence), as_json=as_json)
    except NoNats as error:
        complain(COMMAND, error)
        return NOT_TALKING
    return DONE


def _say_now(text: str) -> None:
    print(text, flush=True)


def _completion(arguments: argparse.Namespace) -> int:
    print(script(arguments.params), end="")
    return DONE


def _probe(arguments: argparse.Namespace) -> int:
    from lightningd_py.probe.command import NothingProbed, run  # signatures and the map take a while to load

    chosen = located(arguments.where, "rpc-file")
    try:
        run(chosen, arguments.params, arguments.minutes, arguments.nodes, arguments.svg, _style(arguments))
    except NothingProbed as error:
        complain(COMMAND, error)
        return NOT_TALKING
    return DONE


def _export(arguments: argparse.Namespace) -> int:
    from lightningd_py.export.command import NothingExported, export  # the map takes a while to load

    store = arguments.store or located(arguments.where, "rpc-file").network_dir / "gossip_store"
    try:
        export(store, arguments.params, force=arguments.force, complain=lambda sentence: complain(COMMAND, sentence))
    except NothingExported as error:
        complain(COMMAND, error)
        return NOT_TALKING
    return DONE


def _top(arguments: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("top needs a terminal")
    if arguments.nats is not None:
        from lightningd_py.cli.nats_feed import NoNats, watch_all

        try:
            watch_all(arguments, located(arguments.where, "feed").network)
        except NoNats as error:
            complain(COMMAND, error)
            return NOT_TALKING
        return DONE
    from lightningd_py.top.top import watch

    watch(rpc_path(arguments.where), arguments.interval)
    return DONE


OF_OURS: dict[str, Callable[[argparse.Namespace], int]] = {
    "completion": _completion,
    "export": _export,
    "feed": _feed,
    "probe": _probe,
    "top": _top,
}
"""Methods that no node has."""
LONG = ("compactgossipstore", "graceful", "restart", "resync", "waitsync")
"""Commands that have a bar on a terminal."""


def _style(arguments: argparse.Namespace) -> str:
    """human, json, raw or flat."""
    return arguments.style or ("human" if sys.stdout.isatty() else "json")


def _call(arguments: argparse.Namespace, path: Path, asked: dict[str, Any]) -> dict[str, Any]:
    say = _said(arguments.notifications)
    with_bar = arguments.method in LONG and not arguments.style and arguments.notifications != "none"
    if not (with_bar and sys.stdout.isatty() and sys.stderr.isatty()):
        return call(path, asked, heard=say)
    from lightningd_py.cli.progress import call_with_bar

    store = (located(arguments.where, "rpc-file").network_dir / "gossip_store").resolve()
    return call_with_bar(arguments.method, path, asked, store, sys.stderr, say)


def _said(level: str | None) -> Heard | None:
    """Writes each message that a command has about its way to standard error, as CLN's lightning-cli shows it."""
    if level in (None, "none"):
        return None

    def heard(notification: str, params: dict[str, Any]) -> None:
        if notification == "message" and LEVELS.get(str(params.get("level")).lower(), 0) >= LEVELS[str(level)]:
            print(f"# {replaced(str(params.get('message')))}", file=sys.stderr, flush=True)

    return heard


def _show(arguments: argparse.Namespace, reply: dict[str, Any], path: Path) -> None:
    """JSON is written in ASCII, so that no stranger's control characters reach a terminal."""
    style = _style(arguments)
    if style == "human":
        if "error" in reply:
            suggestion = for_error(reply["error"], arguments.method, path)
            print(error_text(reply["error"]) + suggestion, file=sys.stderr)
        else:
            _show_people(arguments.method, reply["result"])
    elif style == "flat":
        print("\n".join(flat(reply.get("error", reply.get("result")))))
    else:
        print(json.dumps(reply.get("error", reply.get("result")), indent=3 if style == "json" else None))


def _show_people(method: str, result: Any) -> None:
    if not sys.stdout.isatty():
        print(as_text(method, result))
        return
    from lightningd_py.cli.coloured import show  # rich: scripts do not wait for it

    show(method, result)
