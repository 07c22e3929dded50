"""The command line of `connectiond` on its own: what was asked for, checked before anything is started."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from wire.address import DEFAULT_PORTS, parse_address, parse_peer
from wire.command.console import NoPath, absolute, home
from wire.command.parser import CommandParser
from wire.control.binding import parse_binding
from wire.control.status import LEVELS
from wire.features import Features, default_init_features, feature_bit, parse_feature
from wire.secp256k1 import is_point
from wire.start.late_dataclass import dataclass
from wire.start.version import version
from wire.types import NETWORKS

TOR_PORT = 9050
"""Where Tor's SOCKS5 proxy listens."""
GOSSIPS = ("gossip_queries", "gossip_queries_ex")
"""What the node offers and we do not: a query is answered by a service or not at all."""
MAX_CONNECTIONS = 64
"""Each has a process of 25 MB, if nothing else is said."""

_EPILOG = """\
A connection's messages go to the service that wants them: a program in any language that says hello on the CTL bus and
on the MSG bus. docs/connectiond.md shows one. SIGTERM and SIGINT end everything; the exit status is then 0. With
--connect, connectiond ends with its last connection, with status 1 and the reason.
"""


class UsageError(Exception):
    """Something on the command line is wrong; one sentence."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says. `msg` and `ctl` are ZMQ endpoints."""

    listen: list[str]
    connect: list[tuple[bytes, str]]
    network: str
    directory: Path
    msg: str
    ctl: str
    hsm_secret: Path
    hsm_passphrase: bool
    threaded: bool
    proxy: str | None
    always_use_proxy: bool
    features: bytes
    max_connections: int
    log_level: str

    @property
    def chain_hash(self) -> bytes:
        """The network's."""
        return NETWORKS[self.network]

    @property
    def curve(self) -> Path:
        """The directory of the keys that tcp endpoints need, and of who may come."""
        return self.directory / "curve"

    @property
    def port(self) -> int:
        """The network's, for addresses that name none."""
        return DEFAULT_PORTS[self.network]


def parse(arguments: Sequence[str]) -> Settings:
    """What these arguments ask for. Raises UsageError; `--help` prints and raises SystemExit."""
    said = _parser().parse_args(arguments)
    port = DEFAULT_PORTS[said.network]
    directory = _directory(said.dir, said.network)
    settings = Settings(
        listen=[_binding(text, port) for text in said.listen],
        connect=[_peer(text, port) for text in said.connect],
        network=said.network,
        directory=directory,
        msg=said.msg or f"ipc://{directory}/msg",
        ctl=said.ctl or f"ipc://{directory}/ctl",
        hsm_secret=directory / "hsm_secret" if said.hsm_secret is None else _absolute(said.hsm_secret),
        hsm_passphrase=said.hsm_passphrase,
        threaded=said.threaded,
        proxy=_proxy(said.proxy),
        always_use_proxy=said.always_use_proxy,
        features=_features(said.offer),
        max_connections=said.max_connections,
        log_level=said.log_level,
    )
    _check(settings)
    return settings


def _directory(said: Path | None, network: str) -> Path:
    try:
        return _absolute(said if said is not None else home("--dir") / ".connectiond" / network)
    except NoPath as error:
        raise UsageError(str(error)) from error


def _absolute(path: Path) -> Path:
    try:
        return absolute(path)
    except NoPath as error:
        raise UsageError(str(error)) from error


def _check(settings: Settings) -> None:
    """What is right by itself, and wrong together."""
    for option, endpoint in (("--msg", settings.msg), ("--ctl", settings.ctl)):
        if not re.fullmatch(r"(ipc|tcp|inproc)://.+", endpoint):
            raise UsageError(
                f"{option} {endpoint!r} is no endpoint: that is ipc://PATH, tcp://IP:PORT or inproc://NAME"
            )
        if endpoint.startswith("inproc:") and not settings.threaded:
            raise UsageError(f"{option} {endpoint}: inproc endpoints are for programs that embed us with --threaded")
    if settings.msg == settings.ctl and not settings.msg.endswith(":0"):
        raise UsageError(f"--msg and --ctl are two buses, and cannot both be at {settings.msg}")
    if settings.always_use_proxy and settings.proxy is None:
        raise UsageError("--always-use-proxy needs --proxy")
    if settings.proxy is None and any(".onion" in address for _, address in settings.connect):
        raise UsageError("an onion address is reached through Tor: name its SOCKS5 proxy with --proxy")
    if len(settings.connect) > settings.max_connections:
        raise UsageError(
            f"{len(settings.connect)} connections are more than --max-connections {settings.max_connections}"
        )


class _Parser(CommandParser):
    """Raises what is wrong instead of printing it with the usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (connectiond --help tells more)")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="connectiond",
        description="Lightning peer connections on ZMQ buses, without a node around them.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=version())
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--listen", nargs="+", default=[], metavar="ADDR", help="accept connections at IP[:PORT], [IPV6]:PORT or /PATH"
    )
    what.add_argument(
        "--connect", nargs="+", default=[], metavar="ID@ADDR", help="connect to these nodes: IP, name or onion address"
    )
    _identity(parser.add_argument_group("who we are"))
    _ways(parser.add_argument_group("ways and bounds"))
    _buses(parser.add_argument_group("buses"))
    return parser


def _identity(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--network", choices=list(NETWORKS), default="bitcoin", help="which chain (default bitcoin)")
    group.add_argument("--dir", type=Path, metavar="DIR", help="where our files are (default ~/.connectiond/NETWORK)")
    group.add_argument(
        "--hsm-secret", type=Path, metavar="FILE", help="the node's key, made if missing (default DIR/hsm_secret)"
    )
    group.add_argument(
        "--hsm-passphrase", action="store_true", help="that file has a passphrase: read it from standard input"
    )
    group.add_argument(
        "--offer",
        action="append",
        default=[],
        metavar="FEATURE",
        help="say in init that this is done: a feature's name or number, with /odd or /even; repeatable",
    )


def _ways(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--proxy", metavar="HOST[:PORT]", help="reach onion addresses by this SOCKS5 proxy (port 9050)")
    group.add_argument("--always-use-proxy", action="store_true", help="and all others, and look up no names")
    group.add_argument("--threaded", action="store_true", help="a thread for each connection, instead of a process")
    group.add_argument(
        "--max-connections",
        type=_count,
        default=MAX_CONNECTIONS,
        metavar="N",
        help=f"so many at a time (default {MAX_CONNECTIONS})",
    )
    group.add_argument(
        "--log-level", choices=list(LEVELS), default="info", help="how much is told on standard error (default info)"
    )


def _buses(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-M", "--msg", metavar="ENDPOINT", help="the bus of peers' messages (default ipc://DIR/msg)")
    group.add_argument("-X", "--ctl", metavar="ENDPOINT", help="the bus of requests and events (default ipc://DIR/ctl)")


def _count(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 99999")
    return int(text)


def _binding(text: str, port: int) -> str:
    try:
        binding = parse_binding(text, port)
    except ValueError as error:
        raise UsageError(f"--listen {text}: {error}") from error
    if binding.kind != "plain":
        raise UsageError(f"--listen {text}: only TCP and Unix sockets are listened on here; lightningd-py does more")
    return text


def _peer(text: str, port: int) -> tuple[bytes, str]:
    try:
        node_id, address = parse_peer(text, port)
    except ValueError as error:
        raise UsageError(f"--connect {text}: {error}") from error
    if address is None:
        raise UsageError(f"--connect {text}: an address is missing, as in ID@127.0.0.1:9735")
    if not is_point(node_id):
        raise UsageError(f"--connect {text}: the id is no point on the curve")
    return node_id, str(address)


def _proxy(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(parse_address(text, TOR_PORT))
    except ValueError as error:
        raise UsageError(f"--proxy {text}: {error}") from error


def _features(offered: list[str]) -> bytes:
    """The node's own without gossip, and what is offered besides: optional, as all of ours."""
    missing = {feature_bit(name) + 1 for name in GOSSIPS}
    bits = {bit for bit in default_init_features().bits() if bit not in missing}
    return Features.of(bits | {_bit(text) for text in offered}).to_bytes()


def _bit(text: str) -> int:
    try:
        return parse_feature(text)
    except ValueError as error:
        raise UsageError(f"--offer {text}: {error}") from error
