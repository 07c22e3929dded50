"""Addresses as Lightning says them and as sockets want them, one way and the other."""

import socket

from wire.address import WireAddr
from wire.net.sockman.sockman import SocketAddress


def to_socket(address: WireAddr) -> SocketAddress:
    """What SockMan binds or connects. Raises ValueError for a kind that is no socket address (Tor, names)."""
    match address.kind:
        case "ipv4" | "ipv6":
            return SocketAddress("tcp", address.host, address.port)
        case "local":
            return SocketAddress("unix", address.host, 0)
    raise ValueError(f"{address} is no socket address")


_MAPPED = "::ffff:"
"""Before an IPv4 address that has come to an IPv6 socket: one of systemd's may take both."""


def from_socket(them: SocketAddress, me: SocketAddress) -> WireAddr:
    """The remote end as a wireaddr. A Unix socket's client has no name: there it is the socket that it came through."""
    if them.family == "unix":
        return WireAddr("local", them.host or me.host, 0)
    host = them.host.removeprefix(_MAPPED) if "." in them.host else them.host
    return WireAddr("ipv6" if ":" in host else "ipv4", host, them.port)


_SOMEWHERE = {"ipv4": (socket.AF_INET, "192.0.43.8"), "ipv6": (socket.AF_INET6, "2001:500:88:200::8")}
"""A public address of each family, IANA's: only the routing table is asked about it."""


def source_address(kind: str) -> str | None:
    """The address that this host would have in the internet, if it has a way there. No packet is sent."""
    family, somewhere = _SOMEWHERE[kind]
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((somewhere, 9))
            return str(sock.getsockname()[0])
    except OSError:
        return None
