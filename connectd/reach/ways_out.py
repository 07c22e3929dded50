"""How an address is reached: directly, through the SOCKS5 proxy, or not at all; and how long that may take.

Of SOCKS5 (RFC 1928, RFC 1929) this is the client's side, over a connection that SockMan has made to the proxy. The
messages are python-socks' own sans-IO ones, of a private module of that library, whose public part does the I/O itself:
so its version is pinned, and tests touch each message.
"""

import secrets

from python_socks._protocols import socks5
from python_socks._protocols.errors import ReplyError

from connectd.connection import Connection, ConnectionEnded
from connectd.connections import Connections
from connectd.socket_address import to_socket
from wire.address import WireAddr, parse_address
from wire.control.control_wire import Ways
from wire.net.sockman.sockman import SocketAddress

PROXY_FACTOR = 3
"""A dial through a proxy may take so many times longer: Tor builds circuits first."""

_HEAD_SIZE = 4
_BOUND_SIZES = {socks5.AddressType.IPV4: 4, socks5.AddressType.IPV6: 16}
_PORT_SIZE = 2


class WaysOut:
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
        return self._timeout * (PROXY_FACTOR if self.needs_proxy(address) else 1)

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


TOR_REPLIES = {
    0xF0: "the onion service cannot be found",
    0xF1: "the onion service's descriptor is invalid",
    0xF2: "introduction to the onion service failed",
    0xF3: "rendezvous with the onion service failed",
    0xF4: "the onion service wants authorized clients only",
    0xF5: "the onion service does not take our authorization",
    0xF6: "this is no address of an onion service",
    0xF7: "introduction to the onion service timed out",
}
"""What Tor's proxy adds to the protocol's replies. Tor's socks-extensions, ExtendedErrors."""


async def ask_proxy(connection: Connection, host: str, port: int) -> None:
    """Have the proxy connect to a host, whose name it resolves itself; what then follows is the host's.

    Each call has a name and a password of its own: by these Tor keeps destinations on circuits of their own.
    Raises ConnectionEnded.
    """
    try:
        await _converse(connection, host, port)
    except ReplyError as error:
        raise ConnectionEnded(str(error)) from None
    except ValueError as error:  # rubbish where a host name should be
        raise ConnectionEnded(f"Malformed reply: {error}") from None
    except ConnectionEnded:
        raise ConnectionEnded(connection.lost or "hung up") from None


async def _converse(connection: Connection, host: str, port: int) -> None:
    protocol = socks5.Connection()
    who = socks5.AuthRequest(username=secrets.token_hex(8), password=secrets.token_hex(8))
    connection.write(protocol.send(socks5.AuthMethodsRequest(who.username, who.password)))
    method = protocol.receive(await connection.read(socks5.AuthMethodReply.SIZE))
    if isinstance(method, socks5.AuthMethodReply) and method.method == socks5.AuthMethod.USERNAME_PASSWORD:
        connection.write(protocol.send(who))
        protocol.receive(await connection.read(socks5.AuthReply.SIZE))
    connection.write(protocol.send(socks5.ConnectRequest(host=host, port=port)))
    protocol.receive(await _connect_reply(connection))


async def _connect_reply(connection: Connection) -> bytes:
    """The whole reply and not a byte more. One that says no may end after its second byte."""
    data = await connection.read(2)
    if data[0] == socks5.SOCKS_VER and data[1] in TOR_REPLIES:
        raise ReplyError(TOR_REPLIES[data[1]])
    if data[0] != socks5.SOCKS_VER or data[1] != socks5.ReplyCode.SUCCEEDED:
        return data
    data += await connection.read(_HEAD_SIZE - len(data))
    if data[3] == socks5.AddressType.DOMAIN:
        data += await connection.read(1)
        return data + await connection.read(data[-1] + _PORT_SIZE)
    return data + await connection.read(_BOUND_SIZES.get(socks5.AddressType(data[3]), 0) + _PORT_SIZE)
