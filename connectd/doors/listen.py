"""Binding: from what --addr and --bind-addr say to listening sockets, and to the addresses worth announcing."""

import errno
from dataclasses import field
from typing import Literal

from connectd.doors.tor import OnionServices
from connectd.doors.tor_control import TorError
from connectd.reach.resolver import look_up
from connectd.socket_address import from_socket, source_address, to_socket
from wire.address import WireAddr, is_routable
from wire.control.binding import BindFailed, Binding, parse_binding
from wire.control.control_message import Fd
from wire.control.control_wire import ListeningSocket
from wire.control.status import Status
from wire.net.sockman.sockman import SocketAddress, SockMan
from wire.start.late_dataclass import dataclass

EVERY_INTERFACE = (WireAddr("ipv6", "::", 0), WireAddr("ipv4", "0.0.0.0", 0))  # noqa: S104 - if asked for
TYPES = ("ipv4", "ipv6", "torv2", "torv3", "dns")
_LOOPBACK = {"::": "::1", "0.0.0.0": "127.0.0.1"}  # noqa: S104 - where such a socket is reached from here
Kind = Literal["plain", "ws"]
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)

status = Status("connectd")


def in_order(addresses: list[WireAddr]) -> list[WireAddr]:
    """As `node_announcement` lists them: by type, each once (B7-70)."""
    return sorted(dict.fromkeys(addresses), key=lambda address: TYPES.index(address.kind))


@dataclass(frozen=True, slots=True)
class BindRules:
    """`port`: the network's. No `use_dns`: names are refused. `guess`: of a socket on every interface that is to be
    announced, tell the address that the internet would see. `announce_any`: loopback too, for tests."""

    port: int
    use_dns: bool
    guess: bool
    announce_any: bool


@dataclass(slots=True)
class Listeners:
    """All that we listen on: `plain` has the sockets for BOLT 8, `websocket` those for WebSockets.

    Nothing is accepted before they are started.
    """

    plain: SockMan
    websocket: SockMan | None
    rules: BindRules
    bindings: list[str] = field(default_factory=list)
    """As `wire.control.binding` reads them, with the ports that the kernel chose; in the order of binding."""
    announceable: list[WireAddr] = field(default_factory=list)
    local: WireAddr | None = None
    """Where a program on this host reaches us by TCP: for Tor."""
    onions: list[tuple[Binding, bool]] = field(default_factory=list)
    """Those for which Tor is to listen, and whether to announce each."""
    bound: list[tuple[str, SocketAddress]] = field(default_factory=list)
    """Kind and address of each socket that was not there before."""

    def adopt(self, there: ListeningSocket) -> None:
        """A socket that listens already: it is not bound again. Raises BindFailed."""
        kind: Kind = "ws" if there.kind == "ws" else "plain"
        try:
            self._listens(kind, self._sockman(kind).adopt_listener(there.fd), there.announce)
        except (OSError, ValueError) as error:
            raise BindFailed(f"Cannot listen at a socket that was there already: {error}") from error

    def copies(self) -> list[ListeningSocket]:
        """Of the sockets that were bound here."""
        return [ListeningSocket(kind, Fd(self._sockman(kind).copy_listener(where))) for kind, where in self.bound]

    async def listen(self, text: str, *, announce: bool) -> None:
        """Listen there, a name standing for all of its addresses. Raises BindFailed."""
        try:
            binding = parse_binding(text, self.rules.port)
            if binding.is_onion:
                self.onions.append((binding, announce))
            elif binding.address is None:
                self._bind_every(binding, announce)
            else:
                for address in await self._resolved(binding.address):
                    self._bind(binding, address, announce)
        except OSError as error:
            raise BindFailed(f"Cannot bind {text or 'every interface'}: {error.strerror or error}") from error
        except ValueError as error:
            raise BindFailed(f"Cannot bind {text}: {error}") from error

    async def listen_by_tor(self, services: OnionServices) -> None:
        """Have Tor listen, when all else is bound: its services lead to our first socket. Raises BindFailed."""
        for binding, announce in self.onions:
            if self.local is None:
                raise BindFailed(f"Cannot bind {binding}: it has to lead to an IP address: add one with --bind-addr")
            try:
                onion = await services.start(binding, self.local)
            except TorError as error:
                raise BindFailed(f"Cannot bind {binding.kind}:{binding.address}: {error}") from error
            if announce:
                self.announceable.append(onion)

    async def _resolved(self, address: WireAddr) -> list[WireAddr]:
        if address.kind == "dns" and not self.rules.use_dns:
            raise ValueError("it is a name, and DNS is disabled")
        return await look_up(address)

    def _bind_every(self, binding: Binding, announce: bool) -> None:
        """IPv6 and IPv4. A host may be without one of them; without both there is nothing to listen on."""
        missing: list[OSError] = []
        for every in EVERY_INTERFACE:
            try:
                self._bind(binding, WireAddr(every.kind, every.host, binding.port), announce)
            except OSError as error:
                if error.errno not in _NO_SUCH_FAMILY:
                    raise
                missing.append(error)
                status.info(f"this host has no {every.kind}: not listening on [{every.host}]")
        if len(missing) == len(EVERY_INTERFACE):
            raise missing[-1]

    def _bind(self, binding: Binding, address: WireAddr, announce: bool) -> None:
        kind: Kind = "ws" if binding.kind == "ws" else "plain"
        there = str(Binding(kind, address, address.port)) in self.bindings
        where = to_socket(address)
        if not there:
            where = self._sockman(kind).bind_and_start_listening(where)
            self.bound.append((kind, where))
        self._listens(kind, where, announce, again=there)

    def _sockman(self, kind: str) -> SockMan:
        sockman = self.websocket if kind == "ws" else self.plain
        if sockman is None:
            raise ValueError("there is no websocketd")
        return sockman

    def _listens(self, kind: Kind, where: SocketAddress, announce: bool, *, again: bool = False) -> None:
        bound = from_socket(where, where)
        if not again:
            self.bindings.append(str(Binding(kind, bound, bound.port)))
        if self.local is None and kind == "plain" and bound.kind != "local":
            self.local = WireAddr(bound.kind, _LOOPBACK.get(bound.host, bound.host), bound.port)
        if announce and (public := self._public(bound)):
            self.announceable.append(public)

    def _public(self, bound: WireAddr) -> WireAddr | None:
        """What the internet could reach this socket by."""
        if bound.host in _LOOPBACK:
            host = source_address(bound.kind) if self.rules.guess else None
            if host is None:
                return None
            bound = WireAddr(bound.kind, host, bound.port)
        return bound if self.rules.announce_any or is_routable(bound) else None
