"""Where a client behind a proxy comes from, as the proxy says: X-Forwarded-For, and Forwarded (RFC 7239).

Each proxy adds its client's address at the right; what stands to the left of the first hop that is no proxy of ours is
what that client made up, and is not looked at.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address

from websockets.datastructures import Headers

from wire.address import WireAddr, parse_address

Networks = tuple[IPv4Network | IPv6Network, ...]
_FIELDS = ("X-Forwarded-For", "Forwarded")


def client_address(headers: Headers, proxies: Networks) -> WireAddr | None:
    """The right-most hop that is not one of these; the left-most if all are. None if the proxy says nothing. Without a
    port that is 0.

    A proxy adds to one of the two fields and may pass the other one on as the client wrote it: they must agree. Raises
    ValueError with what is wrong.
    """
    found = [_outermost(_hops(name, headers), proxies) for name in _FIELDS if name in headers]
    if len({address.host for address in found}) > 1:
        raise ValueError("X-Forwarded-For and Forwarded do not agree")
    return found[0] if found else None


def _hops(name: str, headers: Headers) -> Iterator[WireAddr]:
    """From right to left."""
    for element in reversed(",".join(headers.get_all(name)).split(",")):
        yield _address(_node(element) if name == "Forwarded" else element.strip())


def _outermost(hops: Iterator[WireAddr], proxies: Networks) -> WireAddr:
    address = next(hops)
    while any(ip_address(address.host) in network for network in proxies):
        further = next(hops, None)
        if further is None:
            break
        address = further
    return address


def _node(element: str) -> str:
    """What `for=` says in an element of Forwarded."""
    nodes = [value.strip() for name, _, value in map(_pair, element.split(";")) if name.strip().lower() == "for"]
    if len(nodes) != 1:
        raise ValueError("Forwarded does not say for whom")
    (node,) = nodes
    return node[1:-1] if len(node) > 1 and node[0] == node[-1] == '"' else node


def _pair(text: str) -> tuple[str, str, str]:
    return text.partition("=")


def _address(text: str) -> WireAddr:
    try:
        address = parse_address(text, 0)
    except ValueError:
        address = None
    if address is None or address.kind not in ("ipv4", "ipv6"):
        raise ValueError("a forwarded address is no IP address")
    return address
