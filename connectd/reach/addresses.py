"""Where a node may be found: hints that users gave, where it was reached last, and what a name resolves to."""

import asyncio
import contextlib
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from wire.address import WireAddr
from wire.net.sockman.sockman import SocketAddress

MAX_NODES = 1_000
"""So many nodes are remembered in each table, the newest ones."""
MAX_HINTS = 10
"""So many hints are kept for a node, the newest ones."""


class AddressBook:
    """Addresses as text, by node_id. Two bounded tables: nothing here is lost that a user could not say again."""

    def __init__(self) -> None:
        self._hints: OrderedDict[bytes, list[str]] = OrderedDict()
        self._last: OrderedDict[bytes, list[str]] = OrderedDict()

    def hint(self, node_id: bytes, address: str) -> None:
        """A user says that the node is there."""
        others = [known for known in self._hints.get(node_id, []) if known != address]
        _keep(self._hints, node_id, [address, *others][:MAX_HINTS])

    def reached(self, node_id: bytes, address: str) -> None:
        """The node was there."""
        _keep(self._last, node_id, [address])

    def known(self, node_id: bytes) -> list[str]:
        """The hints, newest first, then the last success."""
        return [*self._hints.get(node_id, []), *self._last.get(node_id, [])]


def _keep(table: OrderedDict[bytes, list[str]], node_id: bytes, addresses: list[str]) -> None:
    table[node_id] = addresses
    table.move_to_end(node_id)
    if len(table) > MAX_NODES:
        table.popitem(last=False)


def to_socket(address: WireAddr) -> SocketAddress:
    """What SockMan binds or connects. Raises ValueError for a kind that is no socket address (Tor, names)."""
    match address.kind:
        case "ipv4" | "ipv6":
            return SocketAddress("tcp", address.host, address.port)
        case "local":
            return SocketAddress("unix", address.host, 0)
    raise ValueError(f"{address} is no socket address")


def from_socket(them: SocketAddress, me: SocketAddress) -> WireAddr:
    """The remote end as a wireaddr. A Unix socket's client has no name: there it is the socket that it came through."""
    if them.family == "unix":
        return WireAddr("local", them.host or me.host, 0)
    return WireAddr("ipv6" if ":" in them.host else "ipv4", them.host, them.port)


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


async def resolve(address: WireAddr) -> list[WireAddr]:
    """The IP addresses of a name, in the resolver's order; any other kind is its own answer. Raises OSError."""
    if address.kind != "dns":
        return [address]
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Any]] = loop.create_future()

    def settle(found: list[Any] | None, error: OSError | None) -> None:
        if not answer.done():
            answer.set_exception(error) if error else answer.set_result(found or [])

    def ask() -> None:
        # A thread of our own instead of the loop's pool: a resolver that hangs must not hold up the process's end.
        found, failure = None, None
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            failure = error if isinstance(error, OSError) else OSError(f"no host name: {error}")
        with contextlib.suppress(RuntimeError):  # the loop is closed, nobody waits
            loop.call_soon_threadsafe(settle, found, failure)

    threading.Thread(target=ask, daemon=True).start()
    return _unique(
        WireAddr("ipv6" if family == socket.AF_INET6 else "ipv4", str(where[0]), address.port)
        for family, _, _, _, where in await answer
    )


def _unique(addresses: Iterable[WireAddr]) -> list[WireAddr]:
    return list(dict.fromkeys(addresses))
