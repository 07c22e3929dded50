"""`web`: a page over a node's feed, gossip_store, RPC and record, until a signal ends it."""

import argparse
import asyncio
import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lightningd_py.observatory import jetstream_commands
from lightningd_py.observatory.arguments import an_ip_address
from lightningd_py.observatory.jetstream.access import access
from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.tools.feed_client import Feed, Keys
from wire.address import WireAddr
from wire.command import console

if TYPE_CHECKING:
    from lightningd_py.observatory.live.follower import PointFollower
    from lightningd_py.observatory.web.arrivals import Arrivals

PORT = 9760
QUEUE = 20_000


class _Follows(Protocol):
    """What fills the arrivals."""

    def start(self) -> None: ...
    def close(self) -> None: ...


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The subcommands' words."""
    parser = commands.add_parser("web", help="show a node's map, arrivals and record in a browser", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", metavar="DIR", help="what was recorded, for times that have passed"
    )
    parser.add_argument("--feed", metavar="PATH", help="the node's feed (default ~/.lightning-py/bitcoin/feed)")
    parser.add_argument("--feed-key", type=Path, metavar="FILE", help="for tcp: our key; server.key lies beside it")
    parser.add_argument("--store", metavar="FILE", help="its gossip_store (default: beside the feed; `none`: without)")
    parser.add_argument("--rpc", metavar="FILE", help="its RPC socket (default: beside the feed; `none`: without)")
    parser.add_argument(
        "--listen",
        type=an_ip_address(PORT),
        default=f"127.0.0.1:{PORT}",
        metavar="IP[:PORT]",
        help=f"default 127.0.0.1:{PORT}",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="the token that a browser has to give; needed where not only this host can connect, and made if not there",
    )
    parser.add_argument("--host", action="append", default=[], metavar="NAME", help="a name by which it may be called")
    parser.add_argument(
        "--cache", type=Path, metavar="DIR", help="where the layout is kept (default ~/.cache/lightningd-py)"
    )
    jetstream_commands.add_access(parser, needed=False)
    parser.set_defaults(run=_run)
    assets = commands.add_parser("web-assets", help="get the two libraries that draw the page's map from npm")
    assets.set_defaults(run=_assets)


def _assets(_: argparse.Namespace) -> int:
    from lightningd_py.observatory.web.assets import fetch

    for path in fetch():
        print(path)
    return 0


def _run(options: argparse.Namespace) -> int:
    address: WireAddr = options.listen
    token_file: Path | None = options.token_file
    if token_file is None and not ipaddress.ip_address(address.host).is_loopback:
        raise ObservatoryError(f"{address} is not of this host alone: --token-file FILE keeps others out")
    try:
        asyncio.run(_serve(options))
    except OSError as error:
        raise ObservatoryError(f"cannot listen on {address}: {console.reason(error)}") from error
    return 0


async def _serve(options: argparse.Namespace) -> None:
    from lightningd_py.observatory.web.arrivals import Arrivals
    from lightningd_py.observatory.web.guard import Guard, read_token
    from lightningd_py.observatory.web.positions import Positions
    from lightningd_py.observatory.web.server import PageServer
    from lightningd_py.observatory.web.sources import Sources

    where = options.feed or str(console.home("--feed") / ".lightning-py/bitcoin/feed")
    cache = options.cache or console.home("--cache") / ".cache/lightningd-py"
    token = None if options.token_file is None else read_token(options.token_file)
    arrivals = Arrivals()
    points = None if options.nats is None else _points(options)
    sources = Sources(
        arrivals,
        _beside(where, options.store, "gossip_store"),
        _beside(where, options.rpc, "lightning-rpc"),
        options.folder,
        Positions(cache / "positions"),
        points,
    )
    follower = _of_node(where, options.feed_key, arrivals) if points is None else _of_all(points, arrivals)
    server = PageServer(sources, Guard(options.host, token))
    ended = asyncio.Event()
    for number in console.END_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    host, port = options.listen.host, options.listen.port
    bound = await server.start(host, port)
    shown = WireAddr(options.listen.kind, host, bound)
    _say(f"the page is at http://{shown}/" + ("" if token is None else f", the token in {options.token_file}"))
    follower.start()
    await ended.wait()
    follower.close()
    await server.close()


def _points(options: argparse.Namespace) -> "PointFollower":
    """Raises ObservatoryError if nats-py is not there, or a file cannot be read."""
    servers = access(options)
    from lightningd_py.observatory.live.follower import PointFollower
    from lightningd_py.observatory.web.all_points import TABLES

    return PointFollower(servers, options.network, tables=TABLES)


def _of_node(where: str, key: Path | None, arrivals: "Arrivals") -> _Follows:
    from lightningd_py.observatory.web.follower import TOPICS, Follower

    keys = None if key is None else Keys(key, key.parent / "server.key")
    return Follower(lambda: Feed(where, TOPICS, keys=keys, queue=QUEUE, patience=2.0, batches=True), arrivals)


def _of_all(points: "PointFollower", arrivals: "Arrivals") -> _Follows:
    """Of this alone is nats-py needed."""
    from lightningd_py.observatory.web.all_points import AllPoints

    return AllPoints(points, arrivals)


def _beside(feed: str, given: str | None, name: str) -> Path | None:
    if given is not None:
        return None if given == "none" else Path(given)
    return None if "tcp://" in feed else Path(feed.removeprefix("ipc://")).parent / name


def _say(sentence: str) -> None:
    console.complain("lightning-observatory", sentence)
