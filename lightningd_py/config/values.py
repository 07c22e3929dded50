"""How the value of an option is read from its text: each function raises ValueError with the reason, in few words."""

import re
import shlex
from collections.abc import Callable, Sequence
from functools import cache
from ipaddress import IPv6Address, ip_network
from pathlib import Path

from lightningd_py.errors import UsageError
from wire.address import WireAddr, is_hostname, is_routable, onion_flaw, parse_address, parse_peer
from wire.bus.service_name import name_flaw
from wire.command.console import NoPath, absolute, home
from wire.command.text import replaced
from wire.control.access import parse_what
from wire.control.binding import Binding, parse_binding
from wire.features import parse_feature
from wire.log.style import parse_levels
from wire.start.late_dataclass import dataclass

LONGEST_ALIAS = 32
DNS_PORT = 53
API_PORT = 62962
"""Of the API bus on tcp: LNP Node's."""
METRICS_PORT = 9750
"""Of CLN's plugin."""
PAGE_PORT = 9760
TOR_PORT = 9050
"""Where Tor's SOCKS5 proxy listens."""
DEFAULT_SEEDS: dict[str, tuple[str, ...]] = {
    "bitcoin": ("nodes.lightning.directory", "nodes.lightning.wiki"),
    "testnet": ("test.nodes.lightning.directory", "test.nodes.lightning.wiki"),
    "testnet4": ("test4.nodes.lightning.wiki",),
}
"""DNS seeds of BOLT 10, by network."""
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Service:
    """A program that is started with a peer: `--service NAME=COMMAND`. `command` is argv; no shell is involved."""

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one service wants: `--take NAME=WHAT,...` or `--copy NAME=WHAT,...`. Message numbers, and node ids."""

    service: str
    messages: tuple[int, ...]
    node_ids: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NodeToKeep:
    """A node to stay connected with: `--keepconnected ID[@ADDR]`."""

    node_id: bytes
    address: WireAddr | None


@dataclass(frozen=True, slots=True)
class Offered:
    """Features that stand in init because a service does them: `--offer NAME=FEATURE,...`. `bits` as in init."""

    service: str
    bits: tuple[int, ...]


def text(value: str) -> str:
    """Any text that is not empty."""
    if not value:
        raise ValueError("must not be empty")
    return value


def path(value: str) -> Path:
    """A path, not made absolute yet."""
    return Path(text(value))


def from_root(path: Path | None) -> Path:
    """A path made absolute; of None the directory that counts if none is named. Raises UsageError."""
    try:
        return absolute(path or home("--lightning-dir") / ".lightning-py")
    except NoPath as error:
        raise UsageError(str(error)) from error


def bus_endpoint(value: str, default_port: int = 0) -> str:
    """Where ZMQ listens: `ipc://PATH` (or just the path, not made absolute yet), `tcp://IP:PORT`, or "" for `none`."""
    if value == "none":
        return ""
    scheme, _, where = value.partition("://") if "://" in value else ("ipc", "", value)
    if scheme == "ipc" and where and not where.startswith(("@", "*")):
        return f"ipc://{where}"
    if scheme != "tcp":
        raise ValueError(f"'{value}' is neither ipc://PATH nor tcp://IP:PORT nor none")
    address = _parsed(where, default_port)
    if address.kind not in ("ipv4", "ipv6") or not address.port:
        raise ValueError(f"'{value}' does not name an IP address and a port")
    return f"tcp://{address}"


def api_endpoint(value: str) -> str:
    """The same; its tcp port is known."""
    return bus_endpoint(value, API_PORT)


def one_of(*allowed: str) -> Callable[[str], str]:
    """One of these words."""

    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"'{value}' is not one of {', '.join(allowed)}")
        return value

    return parse


def boolean(value: str) -> bool:
    """CLN's way: true, yes, 1 or false, no, 0."""
    if value.lower() in ("true", "yes", "1"):
        return True
    if value.lower() in ("false", "no", "0"):
        return False
    raise ValueError(f"'{value}' is not true or false")


def number(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number, both ends included."""

    def parse(value: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", value) or not lowest <= int(value) <= highest:
            raise ValueError(f"'{value}' is not a number from {lowest} to {highest}")
        return int(value)

    return parse


def gossip_listen(value: str) -> int:
    """How many peers may stream to us: 0 for `all`."""
    if value == "all":
        return 0
    try:
        return number(1, 1_000_000)(value)
    except ValueError as error:
        raise ValueError(f"{error}, nor all") from error


def file_mode(value: str) -> int:
    """Four octal digits."""
    if not re.fullmatch("0[0-7]{3}", value):
        raise ValueError(f"'{value}' is not a 4-digit octal number")
    return int(value, 8)


def log_level(value: str) -> tuple[str, ...]:
    """A level by name, with a part of the name of a subsystem or a node id, or several of them."""
    return parse_levels(value)


def log_prefix(value: str) -> str:
    """What may stand in a line of the log."""
    if replaced(value) != value:
        raise ValueError("has characters that cannot be shown")
    return value


def alias(value: str) -> str:
    """The node's name: at most 32 bytes of UTF-8. BOLT 7, node_announcement."""
    if len(value.encode()) > LONGEST_ALIAS:
        raise ValueError(f"'{value}' is over {LONGEST_ALIAS} bytes long")
    return value


def vantage(value: str) -> str:
    """What a vantage point is called: a name that is fit for a file, too."""
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", value):
        raise ValueError(f"'{value}' is not up to 64 letters, digits, dots, dashes and underscores")
    return value


def rgb(value: str) -> bytes:
    """The node's colour: three bytes, red first. BOLT 7, node_announcement."""
    if not re.fullmatch("[0-9a-fA-F]{6}", value):
        raise ValueError(f"'{value}' is not six hex digits")
    return bytes.fromhex(value)


def private_key(value: str) -> bytes:
    """32 bytes in hex that are a secret key. The text is not repeated in the complaint."""
    from wire.secp256k1 import public_key

    if not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise ValueError("is not 64 hex digits")
    key = bytes.fromhex(value)
    try:
        public_key(key)
    except ValueError as error:
        raise ValueError("is no valid secret key") from error
    return key


def bind_address(value: str, default_port: int) -> tuple[Binding, ...]:
    """Where to listen, as `wire.control.binding` reads it. Names are resolved where they are bound."""
    return (parse_binding(value, default_port),)


def addr(value: str, default_port: int) -> tuple[Binding, ...]:
    """Where to listen, and what to announce if it is public: as `bind_address`, but no socket path and no WebSocket."""
    if value.startswith(("/", "ws:")):
        raise ValueError(f"'{value}' cannot be announced: use --bind-addr")
    return bind_address(value, default_port)


def announce_address(value: str, default_port: int) -> tuple[WireAddr, ...]:
    """What to announce: IP[:PORT], ONION[:PORT] or dns:HOSTNAME[:PORT]."""
    address = _parsed(value.removeprefix("dns:"), default_port)
    if address.kind == "local":
        raise ValueError(f"'{value}' cannot be announced: use --bind-addr")
    if address.kind == "dns" and not value.startswith("dns:"):
        raise ValueError(f"'{value}' is a name: use dns:{value} to announce it")
    if address.host in ("0.0.0.0", "::"):  # noqa: S104 - refused
        raise ValueError(f"'{value}' is every address: announce one")
    if address.port == 0:
        raise ValueError(f"'{value}' has port 0, at which no node can be reached")
    if address.kind == "torv3" and (flaw := onion_flaw(address.host)):
        raise ValueError(f"'{value}' is no onion service: {flaw}")
    return (address,)


def announced_flaw(addresses: Sequence[WireAddr], *, any_address: bool) -> str | None:
    """What is wrong with announcing these. `any_address`: those that no stranger can reach are right, too."""
    if sum(address.kind == "dns" for address in addresses) > 1:
        return "only one dns: name can be announced"
    lost = [address for address in addresses if not is_routable(address)]
    if lost and not any_address:
        return f"'{lost[0]}' is not on the internet: no stranger can reach it. Use --bind-addr to listen there"
    mapped = [a for a in addresses if a.kind == "ipv6" and IPv6Address(a.host).ipv4_mapped]
    return f"'{mapped[0]}' is an IPv4 address: announce that" if mapped else None


def networks(value: str) -> tuple[str, ...]:
    """IP addresses and networks, separated by commas."""
    found = []
    for each in value.split(","):
        try:
            found.append(str(ip_network(each.strip())))
        except ValueError:
            raise ValueError(f"'{each}' is no IP address and no network") from None
    return tuple(found)


def host_name(value: str) -> str:
    """A name that a resolver can be asked about."""
    name = value.lower().removesuffix(".")
    if not is_hostname(name):
        raise ValueError(f"'{value}' is no host name")
    return name


def name_server(value: str) -> WireAddr:
    """Where a DNS server is: IP[:PORT]."""
    return ip_address_and_port(value, DNS_PORT)


def page_address(value: str) -> WireAddr:
    """Where browsers are answered: IP[:PORT]."""
    return ip_address_and_port(value, PAGE_PORT)


def metrics_address(value: str) -> WireAddr:
    """Where scrapes are answered: IP[:PORT]."""
    return ip_address_and_port(value, METRICS_PORT)


def ip_address_and_port(value: str, default_port: int) -> WireAddr:
    """IP[:PORT]."""
    address = _parsed(value, default_port)
    if address.kind not in ("ipv4", "ipv6"):
        raise ValueError(f"'{value}' is no IP address")
    return address


def proxy(value: str) -> WireAddr:
    """Where a SOCKS5 proxy is: HOST[:PORT] or a socket's path; Tor's port is the default."""
    address = _parsed(value, TOR_PORT)
    if address.kind == "torv3":
        raise ValueError(f"'{value}' cannot be reached without a proxy")
    return address


def _parsed(value: str, default_port: int) -> WireAddr:
    try:
        return parse_address(value, default_port)
    except ValueError as error:
        raise ValueError(f"unable to parse address '{value}': {error}") from error


def service(value: str) -> tuple[Service, ...]:
    """NAME=COMMAND, the command split into words as a shell would, without a shell."""
    name, command = _named(value)
    service_name(name)
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise ValueError(f"'{command}': {str(error).lower()}") from error
    if not words:
        raise ValueError(f"'{value}' has no command")
    return (Service(name, words),)


def service_name(value: str) -> str:
    """What a service may be called."""
    if flaw := name_flaw(value):
        raise ValueError(f"'{value}' {flaw}")
    return value


def wanted(value: str) -> tuple[Wanted, ...]:
    """NAME=WHAT[,WHAT...] where WHAT is a message by name or number, or a node id in hex."""
    name, whats = _named(value)
    messages, node_ids = [], []
    for what in whats.split(","):
        if re.fullmatch("0[23][0-9a-fA-F]{64}", what):
            node_ids.append(_node_id(what))
        else:
            messages.append(_message_number(what))
    return (Wanted(name, tuple(messages), tuple(node_ids)),)


def offered(value: str) -> tuple[Offered, ...]:
    """NAME=FEATURE[,FEATURE...]: what a service does, and what is therefore offered."""
    name, features = _named(value)
    return (Offered(name, tuple(map(parse_feature, features.split(",")))),)


def node_to_keep(value: str, default_port: int) -> tuple[NodeToKeep, ...]:
    """ID or ID@HOST[:PORT]."""
    from wire.secp256k1 import is_point

    node_id, address = parse_peer(value, default_port)
    if not is_point(node_id):
        raise ValueError(f"'{node_id.hex()}' is no node id")
    return (NodeToKeep(node_id, address),)


def access_rule(value: str) -> tuple[str, ...]:
    """Whom a rule names, as `wire.control.access` has it."""
    try:
        return (parse_what(value),)
    except ValueError as error:
        raise ValueError(f"'{value}' {error}") from error


def _named(value: str) -> tuple[str, str]:
    name, equals, rest = value.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise ValueError(f"'{value}' is not NAME=...")
    return name, rest


def _node_id(what: str) -> bytes:
    from wire.secp256k1 import is_point

    node_id = bytes.fromhex(what)
    if not is_point(node_id):
        raise ValueError(f"'{what}' is no node id")
    return node_id


def _message_number(what: str) -> int:
    if re.fullmatch("[0-9]{1,5}", what) and int(what) < 1 << 16:
        return int(what)
    if what not in _numbers_by_name():
        raise ValueError(f"'{what}' is neither a message's name or number nor a node id")
    return _numbers_by_name()[what]


@cache
def _numbers_by_name() -> dict[str, int]:
    """All messages that have a name: the spec's are below 1024."""
    from wire.peer_wire import message_name

    names = {message_name(number): number for number in range(1024)}
    return {name: number for name, number in names.items() if not name.startswith("unknown_")}
