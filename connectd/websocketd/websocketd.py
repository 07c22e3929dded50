"""websocketd: unwraps WebSockets. Started by the master, told by connectd.

A peer connection moves between processes as an fd and its crypto state, and a WebSocket's frames have no place in
that. So connectd, which accepts and counts strangers, hands the TCP connection to this process together with one end of
a stream socketpair; the other end is the peer's fd, with any owner. The process holds no secret: what passes through
is ciphertext. It ends when the master's socket does. Each connectd that the master starts has a link of its own: the
death of one ends nothing here. If websocketd dies its WebSockets have ended, and another one is started.

What comes in is parsed in turns of the sources (`turns.py`), each of which has a rate of bytes and frames as they come,
not of what comes out: an empty frame costs as much as a full one. Of a client behind a trusted proxy this process alone
sees the request that says where it comes from (`forwarded.py`), and tells connectd.
"""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from ipaddress import ip_network
from socket import socket
from typing import Protocol

from connectd.websocketd.turns import Turns
from connectd.websocketd.websocket import WebSocket
from wire.address import WireAddr, parse_address, source_of
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import GetMetrics, NewConnectdLink, UnwrapWebsocket, WebsocketSource
from wire.control.daemon import EXIT_BROKEN, exit_status, inherited_socket
from wire.control.privilege import raise_fd_limit
from wire.control.status import Status, lines_lost
from wire.metrics import declared
from wire.metrics.metric import Samples
from wire.net.sockman.sockman import SockMan

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


@dataclass(slots=True, eq=False)
class _Bridge:
    """One WebSocket: its TCP connection and its stream, by their ids."""

    order: UnwrapWebsocket
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
        proxies = tuple(ip_network(each) for each in message.proxies)
        stream = self.adopt(message.stream_fd, b"")
        source = _source(parse_address(message.address, 0), tcp)
        bridge = _Bridge(message, link, tcp, stream, WebSocket(proxies), source, told=not proxies)
        self._turns.enter(source, message.read_rate)
        self.opened += 1
        self._bridges |= {bridge.tcp: bridge, bridge.stream: bridge}
        self.update_receiving(bridge.stream)

    def _drop(self, message: UnwrapWebsocket, link: Link) -> None:
        message.close_fds()
        if message.proxies:
            link.tell(WebsocketSource(message.conn_id, None))

    def _refuse(self, message: UnwrapWebsocket, link: Link) -> None:
        self._drop(message, link)
        if not self._full:
            status.unusual(f"{len(self)} WebSockets are all that may be open here: new ones are closed")
        self._full = True

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
        self._no_longer_slow(bridge)
        if bridge.websocket.complaint:
            status.debug(f"{bridge.order.address}: WebSocket: {bridge.websocket.complaint}")
        if not bridge.told:
            bridge.link.tell(WebsocketSource(bridge.order.conn_id, None))
        self._turns.leave(bridge.source)
        for id in (bridge.tcp, bridge.stream):
            del self._bridges[id]
            self.close_when_sent(id, LINGER)


def _source(address: WireAddr, tcp: int) -> Hashable:
    """Whom a WebSocket counts for: what comes from this machine, for itself."""
    return source_of(address) or tcp


class ConnectdLink:
    """The socket to one connectd."""

    def __init__(self, sock: socket, bridges: Bridges, left: Callable[["ConnectdLink"], None]) -> None:
        """`left` is called when that connectd has ended, or its link is broken."""
        self._bridges = bridges
        self.channel = ControlChannel(sock, "connectd", self._received, lambda reason: left(self))

    def tell(self, message: WebsocketSource) -> None:
        """As `Link` says."""
        if not self.channel.closed:
            self.channel.send(message)

    def _received(self, message: ControlMessage) -> None:
        if not isinstance(message, UnwrapWebsocket):
            raise RuntimeError(f"connectd said {message.name()}")
        self._bridges.unwrap(message, self)


class Websocketd:
    """The process, on its running loop."""

    def __init__(self, master: socket, stop: Callable[[int], None]) -> None:
        self._bridges = Bridges(raise_fd_limit() - SPARE_FDS)
        self._master = ControlChannel(master, "master", self._from_master, lambda _: stop(exit_status(self._master)))
        self._links: list[ConnectdLink] = []
        self._stop = stop
        status.debug("ready")

    def _from_master(self, message: ControlMessage) -> None:
        match message:
            case NewConnectdLink(link_fd=fd):
                self._links.append(ConnectdLink(inherited_socket(str(fd)), self._bridges, self._left))
            case GetMetrics():
                self._master.reply(message, self._samples().reply())
            case _:
                raise RuntimeError(f"the master said {message.name()}")

    def _samples(self) -> Samples:
        samples = Samples()
        samples.put(declared.WEBSOCKETS, len(self._bridges))
        samples.put(declared.WEBSOCKETS_OPENED, self._bridges.opened)
        samples.put(declared.WEBSOCKETS_REFUSED, self._bridges.refused)
        samples.put(declared.LOG_LOST, lines_lost())
        samples.put(declared.QUEUE, sum(link.channel.queued for link in self._links), "to_connectd")
        return samples

    def _left(self, link: ConnectdLink) -> None:
        """The WebSockets that this connectd has brought go on."""
        self._links.remove(link)
        if link.channel.broken:
            self._stop(EXIT_BROKEN)

    def close(self) -> None:
        """Close whatever is still open."""
        self._master.close()
        for link in self._links:
            link.channel.close()
        self._bridges.close_sockets()
