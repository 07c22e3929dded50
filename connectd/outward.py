"""How an address is reached: directly, through the SOCKS5 proxy, or not at all; and how long that may take."""

from connectd.addresses import to_socket
from connectd.connection import Connection, ConnectionEnded
from connectd.connections import Connections
from connectd.socks import ask_proxy
from wire.address import WireAddr, parse_address
from wire.control_wire import Ways
from wire.sockman import SocketAddress

PROXY_PATIENCE = 3
"""A dial through a proxy may take so many times longer: Tor builds circuits first."""


class Outward:
    """The ways out that the operator allows. `timeout` in seconds, for one address without a proxy."""

    def __init__(self, connections: Connections, ways: Ways, timeout: float) -> None:
        self._connections = connections
        self._proxy = parse_address(ways.proxy, 0) if ways.proxy is not None else None
        self._always = ways.always_use_proxy
        self._use_dns = ways.use_dns
        self._timeout = timeout

    def needs_proxy(self, address: WireAddr) -> bool:
        """Tor's addresses do, all others if the operator wants it so; a Unix socket has no other way than to it."""
        return address.kind in ("torv2", "torv3") or (self._always and address.kind != "local")

    def refuses(self, address: WireAddr) -> str | None:
        """Why there is no way to this address; None if there is one."""
        if address.kind == "torv2":
            return "Tor v2 no longer exists"
        if self.needs_proxy(address):
            return "needs a proxy" if self._proxy is None else None
        if address.kind == "dns" and not self._use_dns:
            return "is a name, and DNS is disabled"
        return None

    def timeout(self, address: WireAddr) -> float:
        """Seconds for resolving a name, and again for connecting up to INIT."""
        return self._timeout * (PROXY_PATIENCE if self.needs_proxy(address) else 1)

    async def connect(self, address: WireAddr) -> Connection:
        """Connect to the address, or to the proxy that leads to it. Raises ConnectionEnded."""
        proxy = self._proxy if self.needs_proxy(address) else None
        target = SocketAddress("tcp", address.host, address.port) if proxy is not None else to_socket(address)
        result = await self._connections.connect_and_make_node_id(
            target, is_important=False, proxy=_proxy_socket(proxy) if proxy else None
        )
        if result.id is None:
            raise ConnectionEnded(f"proxy {proxy}: {result.error}" if result.proxy_failed else result.error)
        return self._connections.add(result.id, incoming=False, address=address)

    async def introduce(self, connection: Connection, address: WireAddr) -> None:
        """If the connection is to the proxy, have it lead on to the address. Raises ConnectionEnded."""
        if not self.needs_proxy(address):
            return
        connection.stage = f"proxy {self._proxy}"
        try:
            await ask_proxy(connection, address.host, address.port)
        except ConnectionEnded as error:
            raise ConnectionEnded(f"{connection.stage}: {error}") from None
        connection.stage = "handshake"


def _proxy_socket(proxy: WireAddr) -> SocketAddress:
    """A name is left to SockMan: it is the operator's, not a stranger's."""
    return SocketAddress("tcp", proxy.host, proxy.port) if proxy.kind == "dns" else to_socket(proxy)
