"""The WebSockets of websocketd: each a TCP connection and a stream, between which bytes are carried.

What comes in is parsed in turns of the sources (`turns.py`), each of which has a rate of bytes and frames as they come,
not of what comes out: an empty frame costs as much as a full one. Of a client behind a trusted proxy this process alone
sees the request that says where it comes from (`forwarded.py`), and tells connectd.
"""

import asyncio
from collections.abc import Hashable
from dataclasses import field
from ipaddress import ip_network
from typing import Protocol

from connectd.websocketd.forwarded import Networks
from connectd.websocketd.turns import NO_LIMIT, Turns
from connectd.websocketd.websocket import MovedWebSocket, WebSocket
from wire.address import WireAddr, parse_address, source_of
from wire.control.control_wire import UnwrapWebsocket, WebsocketSource
from wire.control.status import Status
from wire.net.moving import Held
from wire.net.sockman.sockman import SockMan
from wire.start.late_dataclass import dataclass

MAX_UNSENT = 131_072
"""Bytes that wait for one end of a bridge; the other end is not read while there are more."""
STUCK = 30.0
"""Seconds in which a client has to read MAX_UNSENT. Until then it is not looked at whether its stream has ended."""
SPARE_FDS = 64
"""File descriptors that are wanted for other things than bridges: connections that are on their way here."""
PIECE = 2_048
"""Bytes that are parsed in one step: 340 empty frames, half a millisecond."""
FRAME_WORK = 100
"""What a frame counts as, in bytes, besides its own: what it costs to parse one."""
LINGER = 5.0
"""Seconds for the last words of either end."""

status = Status("websocketd")


class Link(Protocol):
    """The connectd that has said `unwrap_websocket`."""

    def tell(self, message: WebsocketSource) -> None:
        """Bring it there, if that connectd still lives."""


class NoLink:
    """Of a connectd that has ended."""

    def tell(self, message: WebsocketSource) -> None:
        """There is none to hear it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What connectd has said of a WebSocket."""

    conn_id: int
    address: str
    read_rate: int = 0
    proxies: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedBridge:
    """A WebSocket of another process. `link`: which of the links that move it has come by, -1 for none of them."""

    order: Order
    link: int = -1
    client: str = ""
    """Where it comes from, as its proxy has said."""
    told: bool = False
    over: bool = False
    websocket: MovedWebSocket = field(default_factory=MovedWebSocket)
    unparsed: bytes = b""
    to_client: bytes = b""
    to_stream: bytes = b""
    budget: float = NO_LIMIT
    """Bytes that its source may have parsed now."""
    slow_left: float | None = None
    """Seconds that the client has still to read."""


@dataclass(slots=True, eq=False)
class _Bridge:
    """One WebSocket: its TCP connection and its stream, by their ids."""

    order: Order
    link: Link
    tcp: int
    stream: int
    websocket: WebSocket
    source: Hashable
    unparsed: bytearray = field(default_factory=bytearray)
    """At most one read of the socket."""
    told: bool = False
    """connectd knows where it comes from, or need not be told."""
    over: bool = False
    """The client is gone; what it has said is still parsed."""
    slow: asyncio.TimerHandle | None = None
    """Runs while the client does not read."""


class Bridges(SockMan):
    """All WebSockets of the node. No deadline of its own: connectd's is over the upgrade, too, and ends the stream.

    `room`: how many fds they may have. One bridge more is closed at once, before there is none left to receive it.
    """

    def __init__(self, room: int) -> None:
        super().__init__()
        self._turns: Turns[_Bridge] = Turns(self._parse, self._loop)
        self._room = self._farewells.most = room  # they count, in `unwrap`
        self._full = False
        self.opened = self.refused = 0
        """WebSockets that were begun, and those that were closed for want of file descriptors."""
        self._bridges: dict[int, _Bridge] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._bridges) // 2

    def unwrap(self, message: UnwrapWebsocket, link: Link) -> None:
        """Begin to carry bytes between the two."""
        if len(self._bridges) + len(self._farewells) + 2 > self._room:
            self.refused += 1
            self._refuse(message, link)
            return
        try:
            tcp = self.adopt(message.tcp_fd, b"")
        except OSError:  # it has gone already
            self._drop(message, link)
            return
        stream = self.adopt(message.stream_fd, b"")
        order = Order(message.conn_id, message.address, message.read_rate, message.proxies)
        source = _source(parse_address(message.address, 0), tcp)
        websocket = WebSocket(_networks(order))
        bridge = _Bridge(order, link, tcp, stream, websocket, source, told=not order.proxies)
        self.opened += 1
        self._begin(bridge)
        self.update_receiving(bridge.stream)

    def _begin(self, bridge: _Bridge) -> None:
        self._turns.enter(bridge.source, bridge.order.read_rate)
        self._bridges |= {bridge.tcp: bridge, bridge.stream: bridge}

    def _drop(self, message: UnwrapWebsocket, link: Link) -> None:
        message.close_fds()
        if message.proxies:
            link.tell(WebsocketSource(message.conn_id, None))

    def _refuse(self, message: UnwrapWebsocket, link: Link) -> None:
        self._drop(message, link)
        if not self._full:
            status.unusual(f"{len(self)} WebSockets are all that may be open here: new ones are closed")
        self._full = True

    # a restart

    def leave(self, links: list[Link]) -> list[Held[MovedBridge]]:
        """All of them, each with the fds of its TCP connection and of its stream: none is here any more."""
        budgets = {bridge.source: self._turns.left(bridge.source) for bridge in self._bridges.values()}
        return [self._leave(each, links, budgets) for each in dict.fromkeys(self._bridges.values())]

    def _leave(self, bridge: _Bridge, links: list[Link], budgets: dict[Hashable, float]) -> Held[MovedBridge]:
        slow_left = None if bridge.slow is None else bridge.slow.when() - self._loop.time()
        self._forget(bridge)
        tcp_fd, to_client = self.release(bridge.tcp)
        stream_fd, to_stream = self.release(bridge.stream)
        moved = MovedBridge(
            order=bridge.order,
            link=links.index(bridge.link) if bridge.link in links else -1,
            client="" if bridge.websocket.client is None else str(bridge.websocket.client),
            told=bridge.told,
            over=bridge.over,
            websocket=bridge.websocket.leave(),
            unparsed=bytes(bridge.unparsed),
            to_client=to_client,
            to_stream=to_stream,
            budget=budgets[bridge.source],
            slow_left=slow_left,
        )
        return Held(moved, (tcp_fd, stream_fd))

    def take(self, held: Held[MovedBridge], link: Link) -> None:
        """Go on with one that was another process's; the fds are ours from here on."""
        moved, (tcp_fd, stream_fd) = held.moved, held.fds
        assert tcp_fd is not None and stream_fd is not None
        try:
            tcp = self.adopt(tcp_fd, moved.to_client)
        except OSError:  # the client has gone
            held.close()
            if not moved.told:
                link.tell(WebsocketSource(moved.order.conn_id, None))
            return
        stream = self.adopt(stream_fd, moved.to_stream)
        websocket = WebSocket(_networks(moved.order), moved.websocket)
        source = _source(parse_address(moved.client or moved.order.address, 0), tcp)
        bridge = _Bridge(moved.order, link, tcp, stream, websocket, source)
        bridge.told, bridge.over = moved.told, moved.over
        websocket.client = parse_address(moved.client, 0) if moved.client else None
        bridge.unparsed += moved.unparsed
        self._begin(bridge)
        self._turns.go_on(bridge.source, moved.budget)
        if moved.slow_left is not None:
            bridge.slow = self._loop.call_later(moved.slow_left, self._too_slow, bridge)
        self._regulate(bridge)
        if bridge.unparsed:
            self._turns.add(bridge, bridge.source)

    # SockMan's events

    def event_got_data(self, id: int, data: bytes) -> None:
        """To the other side; what is to be parsed when its source's turn has come."""
        bridge = self._bridges[id]
        if id == bridge.stream:
            bridge.websocket.wrap(data)
            self._go_on(bridge)
        else:
            bridge.unparsed += data
            self._turns.add(bridge, bridge.source)

    def event_got_eof(self, id: int) -> None:
        """One end has hung up, and so does the other."""
        bridge = self._bridges[id]
        if id == bridge.stream:
            bridge.websocket.close()
            self.send_bytes(bridge.tcp, bridge.websocket.to_send())
        self._end(bridge)

    def event_got_permanent_read_error(self, id: int, error: OSError) -> None:
        """One end is broken: the other gets what is left."""
        bridge = self._bridges[id]
        bridge.over = True
        if id == bridge.stream or not bridge.unparsed:
            self._end(bridge)

    def event_ready_to_send(self, id: int) -> bool:
        """All was taken: the other side may go on."""
        self._regulate(self._bridges[id])
        return False

    def should_try_to_recv(self, id: int) -> bool:
        """Nothing is read that has no place to go. The client's own words need room for an answer, too: pongs."""
        bridge = self._bridges.get(id)
        if bridge is None:
            return True
        room = self.unsent_size(bridge.tcp) < MAX_UNSENT
        return room and (id == bridge.stream or (not bridge.unparsed and self.unsent_size(bridge.stream) < MAX_UNSENT))

    # Inside

    def _parse(self, bridge: _Bridge) -> tuple[int, bool]:
        """A piece of what the client has said: the work that it was, and whether there is more."""
        if bridge.tcp not in self._bridges:
            return 0, False
        piece, frames = bytes(bridge.unparsed[:PIECE]), bridge.websocket.frames
        del bridge.unparsed[:PIECE]
        payload = bridge.websocket.receive(piece)
        self._tell_source(bridge)
        if payload:
            self.send_bytes(bridge.stream, payload)
        self._go_on(bridge)
        if bridge.over and not bridge.unparsed and bridge.tcp in self._bridges:
            self._end(bridge)
        more = bridge.tcp in self._bridges and bool(bridge.unparsed)
        return len(piece) + FRAME_WORK * (bridge.websocket.frames - frames), more

    def _tell_source(self, bridge: _Bridge) -> None:
        """connectd waits for it; from here on the client counts for where it comes from, too."""
        if bridge.told or not bridge.websocket.is_open:
            return
        bridge.told = True
        client = bridge.websocket.client or parse_address(bridge.order.address, 0)
        self._turns.leave(bridge.source)
        bridge.source = _source(client, bridge.tcp)
        self._turns.enter(bridge.source, bridge.order.read_rate)
        bridge.link.tell(WebsocketSource(bridge.order.conn_id, str(client)))

    def _go_on(self, bridge: _Bridge) -> None:
        if answer := bridge.websocket.to_send():
            self.send_bytes(bridge.tcp, answer)
        if bridge.websocket.ended:
            self._end(bridge)
        else:
            self._regulate(bridge)

    def _regulate(self, bridge: _Bridge) -> None:
        for id in (bridge.tcp, bridge.stream):
            if self.unsent_size(id):
                self.want_to_send(id)
            self.update_receiving(id)

        if self.unsent_size(bridge.tcp) < MAX_UNSENT:
            self._no_longer_slow(bridge)
        elif bridge.slow is None:
            bridge.slow = self._loop.call_later(STUCK, self._too_slow, bridge)

    def _too_slow(self, bridge: _Bridge) -> None:
        status.debug(f"{bridge.order.address}: WebSocket: does not read")
        self._end(bridge)

    def _no_longer_slow(self, bridge: _Bridge) -> None:
        if bridge.slow is not None:
            bridge.slow.cancel()
            bridge.slow = None

    def _end(self, bridge: _Bridge) -> None:
        if bridge.websocket.complaint:
            status.debug(f"{bridge.order.address}: WebSocket: {bridge.websocket.complaint}")
        if not bridge.told:
            bridge.link.tell(WebsocketSource(bridge.order.conn_id, None))
        self._forget(bridge)
        for id in (bridge.tcp, bridge.stream):
            self.close_when_sent(id, LINGER)

    def _forget(self, bridge: _Bridge) -> None:
        self._no_longer_slow(bridge)
        self._turns.leave(bridge.source)
        for id in (bridge.tcp, bridge.stream):
            del self._bridges[id]


def _source(address: WireAddr, tcp: int) -> Hashable:
    """Whom a WebSocket counts for: what comes from this machine, for itself."""
    return source_of(address) or tcp


def check(moved: MovedBridge) -> None:
    """Raises ValueError for what `take` could not go on with."""
    _networks(moved.order)
    for address in filter(None, (moved.order.address, moved.client)):
        parse_address(address, 0)


def _networks(order: Order) -> Networks:
    return tuple(ip_network(each) for each in order.proxies)
