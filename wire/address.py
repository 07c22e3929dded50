"""Addresses of nodes: as text that people write, and as the descriptors of `node_announcement`. BOLT 7, B7-70 to B7-74.

The text of an address reads back as the same address, no matter who announced it.
"""

import base64
import binascii
import functools
import hashlib
import ipaddress
import re
from collections.abc import Iterator
from typing import Literal

from wire.cursor import Cursor, WireError
from wire.start.late_dataclass import dataclass

Kind = Literal["ipv4", "ipv6", "torv2", "torv3", "dns", "local"]

DEFAULT_PORTS = {"bitcoin": 9735, "testnet": 19735, "testnet4": 49735, "signet": 39735, "regtest": 19846}
"""Where nodes listen when nothing is said, by the network's name. BOLT 1, Overview; those of regtest are CLN's."""

_TYPES: dict[int, Kind] = {1: "ipv4", 2: "ipv6", 3: "torv2", 4: "torv3", 5: "dns"}
_NUMBERS = {kind: number for number, kind in _TYPES.items()}
_HOST_SIZES: dict[Kind, int] = {"ipv4": 4, "ipv6": 16, "torv2": 10, "torv3": 35}
_DESCRIPTOR_SIZES = {_NUMBERS[kind]: 1 + size + 2 for kind, size in _HOST_SIZES.items()}
_DNS = _NUMBERS["dns"]
_PUBLIC_KEY = re.compile(r"0[23][0-9a-f]{64}")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class WireAddr:
    """Where a node is. `host` is text in its one canonical form, the path for `local`; that kind has port 0."""

    kind: Kind
    host: str
    port: int

    def __str__(self) -> str:
        """`1.2.3.4:9735`, `[::1]:9735`, `x.onion:9735`, `/a/path`."""
        if self.kind == "local":
            return self.host
        return f"[{self.host}]:{self.port}" if self.kind == "ipv6" else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int) -> WireAddr:
    """What a person wrote: an IP address, an onion service, a host name, each with or without port, or a path.

    IPv6 with a port stands in brackets. Raises ValueError with one sentence for the person.
    """
    if text.startswith("/"):
        return WireAddr("local", text, 0)
    if text.count(":") > 1 and not text.startswith("["):
        return _with_host(text, default_port)
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", text)
    if match is None:
        raise ValueError(f"{text!r} is no address: it looks like host:port or [ipv6]:port")
    host, port = match.groups()
    address = _with_host(host.removeprefix("[").removesuffix("]"), default_port if port is None else _port(port))
    if host.startswith("[") and address.kind != "ipv6":
        raise ValueError(f"{text!r} is no address: only IPv6 stands in brackets")
    return address


def parse_peer(text: str, default_port: int = DEFAULT_PORTS["bitcoin"]) -> tuple[bytes, WireAddr | None]:
    """`id@host:port`, `id@host` or `id`: the node_id, and the address if there is one. Raises ValueError.

    The node_id has the form of a compressed key; whether it is on the curve shows in the handshake.
    """
    node_id, at, address = text.partition("@")
    if not _PUBLIC_KEY.fullmatch(node_id.lower()):
        raise ValueError(f"{node_id!r} is no node id: that is 66 hex digits, beginning with 02 or 03")
    return bytes.fromhex(node_id), parse_address(address, default_port) if at else None


def read_descriptors(data: bytes) -> list[WireAddr]:
    """The usable addresses of a `node_announcement`, in its order.

    Left out: all from the first unknown type on (B7-71), port 0 (B7-73), Tor v2, host names
    that are none, and all after a second host name (B7-74). Raises WireError if the bytes end inside of a descriptor
    of a known type (B7-72).
    """
    found: list[WireAddr] = []
    for address in _descriptors(data):
        if address.kind == "dns" and any(other.kind == "dns" for other in found):
            break
        if _usable(address):
            found.append(address)
    return found


def may_forward(data: bytes) -> bool:
    """Whether a `node_announcement` with these addresses may be passed on: not with two host names (B7-74).

    Raises WireError if one is cut off. Hot: each of a first sync is asked, so only lengths are looked at; tests compare
    it with `read_descriptor`.
    """
    at, end, names = 0, len(data), 0
    while at < end:
        kind = data[at]
        if kind == _DNS:
            names += 1
            at += 1 + 1 + (data[at + 1] if at + 1 < end else 0) + 2
        elif kind in _DESCRIPTOR_SIZES:
            at += _DESCRIPTOR_SIZES[kind]
        else:
            return names <= 1  # of an unknown type: its length is unknown, too
    if at > end:
        raise WireError(f"the last address is {at - end} bytes longer than what is left")
    return names <= 1


def read_descriptor(cursor: Cursor) -> WireAddr | None:
    """One descriptor, whatever it says; None for an unknown type, whose length is unknown, too (all the rest is read).

    Raises WireError if it is cut off. A host name is as it came, with bytes that are no ASCII escaped.
    """
    host = _take_host(cursor)
    return None if host is None else WireAddr(host[0], _host_text(*host), cursor.u16())


def _take_host(cursor: Cursor) -> tuple[Kind, bytes] | None:
    kind = _TYPES.get(cursor.u8())
    if kind is None:
        cursor.rest()
        return None
    return kind, cursor.take(cursor.u8() if kind == "dns" else _HOST_SIZES[kind])


def write_descriptor(address: WireAddr) -> bytes:
    """Type, address and port as in `node_announcement`. Raises ValueError for `local`, which cannot be announced."""
    if address.kind == "local":
        raise ValueError(f"{address} is a local socket and cannot be announced")
    port = address.port.to_bytes(2, "big")
    return bytes([_NUMBERS[address.kind]]) + _host_bytes(address) + port


def to_json(address: WireAddr) -> dict[str, str | int]:
    """As CLN's `listnodes` and `getinfo` show it."""
    if address.kind == "local":
        return {"type": "local socket", "socket": address.host}
    return {"type": address.kind, "address": address.host, "port": address.port}


def is_routable(address: WireAddr) -> bool:
    """Whether a stranger elsewhere could reach the host: no private, local, multicast or reserved address (B1-26)."""
    if address.kind in ("ipv4", "ipv6"):
        return _is_global(address.host)
    if address.kind == "dns":
        return address.host.split(".")[-1] not in ("localhost", "local", "internal")
    return address.kind == "torv3"


@functools.lru_cache(maxsize=1_000)
def _is_global(host: str) -> bool:
    """The same for an IP address. Ours is asked for with each INIT that we hear."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(host)
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip
    return ip.is_global and not ip.is_multicast


def is_hostname(name: str) -> bool:
    """Whether a resolver may be asked. A last label of digits would be read as an IPv4 address by some of them."""
    labels = name.split(".")
    well_formed = len(name) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return well_formed and not _NUMERIC.fullmatch(labels[-1]) and labels[-1] != "onion"


def _descriptors(data: bytes) -> Iterator[WireAddr]:
    cursor = Cursor(data)
    while cursor.remaining:
        address = read_descriptor(cursor)
        if address is not None:
            yield address


def _usable(address: WireAddr) -> bool:
    if address.kind == "torv2" or address.port == 0:
        return False
    return address.kind != "dns" or is_hostname(address.host)


def _host_text(kind: Kind, host: bytes) -> str:
    if kind == "ipv4":
        return str(ipaddress.IPv4Address(host))
    if kind == "ipv6":
        return str(ipaddress.IPv6Address(host))
    if kind == "dns":
        return host.decode("ascii", "backslashreplace").lower()
    return base64.b32encode(host).decode("ascii").lower() + ".onion"


def _host_bytes(address: WireAddr) -> bytes:
    if address.kind in ("ipv4", "ipv6"):
        return ipaddress.ip_address(address.host).packed
    if address.kind == "dns":
        host = address.host.encode("ascii")
        return bytes([len(host)]) + host
    return base64.b32decode(address.host.removesuffix(".onion").upper())


def _with_host(host: str, port: int) -> WireAddr:
    if not host:
        raise ValueError("an address needs a host before the port")
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return _named(host, port)
    if "%" in host:
        raise ValueError(f"{host!r} is no address that others know: it names a network interface")
    return WireAddr("ipv6" if ip.version == 6 else "ipv4", str(ip), port)


def _named(host: str, port: int) -> WireAddr:
    name = _ascii(host).lower().removesuffix(".")
    if name.endswith(".onion"):
        return WireAddr("torv3", _onion(name), port)
    if not is_hostname(name):
        raise ValueError(f"{host!r} is neither an IP address nor a host name")
    return WireAddr("dns", name, port)


def _onion(name: str) -> str:
    service = name.removesuffix(".onion")
    if len(service) == 16:
        raise ValueError(f"{name!r} is a Tor v2 address, and these no longer exist")
    try:
        data = base64.b32decode(service.upper())
    except binascii.Error:
        data = b""
    if len(data) != _HOST_SIZES["torv3"]:
        raise ValueError(f"{name!r} is no Tor address: 56 letters and digits stand before .onion")
    return name


def onion_flaw(name: str) -> str | None:
    """What is wrong with a Tor v3 address, one or more letters of which may be mistyped. rend-spec-v3, 6."""
    data = base64.b32decode(name.removesuffix(".onion").upper())
    key, checksum, version = data[:32], data[32:34], data[34:]
    if version != b"\3":
        return f"its last letters say version {version[0]} instead of 3"
    right = hashlib.sha3_256(b".onion checksum" + key + version).digest()[:2]
    return None if checksum == right else "its checksum is wrong: a letter is mistyped"


def _ascii(host: str) -> str:
    """Punycode for what is no ASCII (B7-70)."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"{host!r} is no host name") from error


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) < 1 << 16):
        raise ValueError(f"{text!r} is no port: that is a number from 0 to 65535")
    return int(text)


HERE = ""
"""The source of what comes from this machine."""


def source_of(address: WireAddr) -> str:
    """Whom a connection from this address is counted for: an IPv4 address, or an IPv6 /64."""
    if address.kind == "ipv6":
        return HERE if address.host == "::1" else str(ipaddress.ip_network(f"{address.host}/64", strict=False))
    return address.host if address.kind == "ipv4" and address.host != "127.0.0.1" else HERE


_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"({_OCTET}\.{_OCTET})\.{_OCTET}\.{_OCTET}")
"""As `ipaddress` reads it, in a tenth of the time: it is looked at for each connection, in each daemon."""


def source_of_text(text: str) -> str:
    """As `source_of`, of what a WireAddr is as text."""
    host = text.rpartition(":")[0]
    return source_of(WireAddr("ipv4", host, 0) if _IPV4.fullmatch(host) else parse_address(text, 0))


def network_group(text: str) -> str:
    """The network of an address as text, all of which one operator may well have: /16 of IPv4, /32 of IPv6, else the
    kind of the address (all of Tor is one).
    """
    host = text.rpartition(":")[0].strip("[]")
    if ipv4 := _IPV4.fullmatch(host):
        return f"{ipv4[1]}.0.0/16"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "tor" if host.endswith(".onion") else "other"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return str(ipaddress.ip_network((address, 16 if address.version == 4 else 32), strict=False))


def source_key(text: str) -> str:
    """The source that an address as text (HOST:PORT) counts for: an IPv4 address, the /64 of an IPv6 one, which is what
    one stranger has at least, else the host.
    """
    host = text.rpartition(":")[0].strip("[]")
    if ":" not in host:
        return host
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
