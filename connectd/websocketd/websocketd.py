"""websocketd: unwraps WebSockets. Started by the master, told by connectd.

A peer connection moves between processes as an fd and its crypto state, and a WebSocket's frames have no place in
that. So connectd, which accepts and counts strangers, hands the TCP connection to this process together with one end of
a stream socketpair; the other end is the peer's fd, with any owner. The process holds no secret: what passes through
is ciphertext. It ends when the master's socket does. Each connectd that the master starts has a link of its own: the
death of one ends nothing here. If websocketd dies its WebSockets have ended, and another one is started.

`bridges.py` has the WebSockets. At a `restart` all of them move to another websocketd (`moving.py`), and so do the
links.
"""

import asyncio
from collections.abc import Callable
from socket import socket

from connectd.websocketd.bridges import SPARE_FDS, Bridges, MovedBridge, NoLink
from connectd.websocketd.moving import Move, Predecessor
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    GetMetrics,
    MoveAll,
    MoveAllReply,
    MoveAllReplyfail,
    NewConnectdLink,
    TakePlace,
    UnwrapWebsocket,
    WebsocketSource,
)
from wire.control.daemon import EXIT_BROKEN, EXIT_OK, exit_status, inherited_socket
from wire.control.privilege import raise_fd_limit
from wire.control.status import Status, lines_lost
from wire.metrics import declared
from wire.metrics.metric import Samples
from wire.net.moving import Held, MoveFailed

status = Status("websocketd")


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
        self._predecessor: Predecessor | None = None
        self._moving: asyncio.Task[None] | None = None
        status.debug("ready")

    def _from_master(self, message: ControlMessage) -> None:
        match message:
            case NewConnectdLink(link_fd=fd):
                self._open_link(fd)
            case TakePlace(predecessor_fd=fd):
                self._predecessor = Predecessor(fd, self._begin, lambda: self._stop(EXIT_OK))
            case MoveAll():
                self._moving = asyncio.get_running_loop().create_task(self._move_all(message))
            case GetMetrics():
                self._master.reply(message, self._samples().reply())
            case _:
                raise RuntimeError(f"the master said {message.name()}")

    def _open_link(self, fd: Fd) -> ConnectdLink:
        link = ConnectdLink(inherited_socket(str(fd)), self._bridges, self._left)
        self._links.append(link)
        return link

    # a restart

    def _take_apart(self) -> tuple[list[Fd], list[Held[MovedBridge]]]:
        """Nothing is here any more; the links first, as they are."""
        links, self._links = self._links, []
        held = self._bridges.leave(list(links))
        return [link.channel.leave().fd for link in links], held

    def _put_together(self, link_fds: list[Fd], held: list[Held[MovedBridge]]) -> None:
        """All is here: the fds are ours from here on."""
        links = [self._open_link(fd) for fd in link_fds]
        for one in held:
            there = 0 <= one.moved.link < len(links)
            self._bridges.take(one, links[one.moved.link] if there else NoLink())

    def _begin(self, predecessor: Predecessor) -> None:
        self._put_together(predecessor.link_fds, predecessor.held)

    async def _move_all(self, message: MoveAll) -> None:
        """To another websocketd; then what only we can finish is left to do here: last words."""
        move = Move(message.successor_fd, self._take_apart, self._put_together)
        try:
            moved = await move.run(lambda: not any(link.channel.queued for link in self._links))
        except MoveFailed as failed:
            self._master.reply(message, MoveAllReplyfail(str(failed)))
            return
        self._master.reply(message, MoveAllReply(moved, 0))
        await move.close(lambda: not self._master.queued)
        await self._bridges.join()
        self._stop(EXIT_OK)

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
        if self._predecessor is not None:
            self._predecessor.close()
        for link in self._links:
            link.channel.close()
        self._bridges.close_sockets()
