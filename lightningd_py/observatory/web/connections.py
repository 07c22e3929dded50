"""Bounds for the connections of an HTTP server that has none of its own: how many, whose, and for how long.

aiohttp waits for a client as long as that likes. Each connection is led through a `Bounded`, which gives it up when it
has not said a request in time, or does not read what it has asked for.
"""

import asyncio
from collections.abc import Callable

from wire.control.shares import Shares
from wire.start.late_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and how many. `request`: to say a request, from the connection's beginning or from the last answer on.
    `unread`: nothing was read, though there is something. `answer`: to take a whole answer. `stream`: of a live one."""

    connections: int = 64
    subscribers: int = 16
    request: float = 15.0
    unread: float = 20.0
    answer: float = 120.0
    stream: float = 3600.0


class Connections:
    """All that are here, with a share for each address: when there are too many, the address with most loses its
    oldest one."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._all: Shares[Bounded, None] = Shares(limits.connections)
        self._by_transport: dict[asyncio.BaseTransport, Bounded] = {}

    def __len__(self) -> int:
        return len(self._all)

    def bounded(self, make: Callable[[], asyncio.Protocol]) -> "Bounded":
        """For `create_server`: leads a connection to what `make` makes."""
        return Bounded(self, make())

    def begun(self, bounded: "Bounded", transport: asyncio.Transport, host: str) -> None:
        """A connection has come."""
        self._by_transport[transport] = bounded
        for crowded, _ in self._all.put(bounded, None, host):
            crowded.give_up()

    def ended(self, bounded: "Bounded", transport: asyncio.BaseTransport) -> None:
        """A connection has gone."""
        self._all.pop(bounded)
        self._by_transport.pop(transport, None)

    def of(self, transport: asyncio.BaseTransport | None) -> "Bounded | None":
        """The one with this transport, if it is still there."""
        return None if transport is None else self._by_transport.get(transport)


class Bounded(asyncio.Protocol):
    """Between a transport and the protocol that it is for."""

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self._connections = connections
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._request: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def asked(self) -> None:
        """A whole request has come."""
        _cancel(self._request)

    def answered(self) -> None:
        """Its answer is written; the next request has its time."""
        _cancel(self._request)
        if self._transport is not None:
            self._request = self._after(self._connections.limits.request)

    def give_up(self) -> None:
        """End it, whatever it still waits for."""
        if self._transport is not None:
            self._transport.abort()

    def _after(self, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self.give_up)

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio.Protocol, as the rest."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._inner.connection_made(transport)
        self.answered()
        peer = transport.get_extra_info("peername")
        self._connections.begun(self, transport, str(peer[0]) if peer else "")

    def connection_lost(self, exc: Exception | None) -> None:
        """The end."""
        assert self._transport is not None
        self._connections.ended(self, self._transport)
        self._transport = None
        _cancel(self._request)
        _cancel(self._unread)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes for the inner protocol."""
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """The peer says no more."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """The peer does not read as fast as it is written to."""
        if self._unread is None:
            self._unread = self._after(self._connections.limits.unread)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The peer has read."""
        _cancel(self._unread)
        self._unread = None
        self._inner.resume_writing()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
