"""One websocketd takes the place of another, and no client notices: both sockets of each WebSocket move, with the bytes
that wait for either end, the frame of which a half has come, the request that is not whole yet; and so do the links to
each connectd.

The next one touches nothing before `move_done`; until then the old one has all, and goes on if the next one fails.
"""

import asyncio
from collections.abc import Callable

from connectd.websocketd.bridges import MovedBridge, check
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    MoveBridge,
    MoveBridgeReply,
    MoveBridgeReplyfail,
    MoveDone,
    MoveLinks,
    MoveLinksReply,
)
from wire.control.daemon import inherited_socket
from wire.control.status import Status
from wire.net.moving import FAILURES, MOVE_TIME, Held, MoveFailed, close_channel, give, reason_of, soon, successor_at
from wire.net.states import StateError, dump, load

VERSION = 1
"""Of `MovedBridge`. A field more needs no new one: it has a default."""

status = Status("websocketd")

TakeApart = Callable[[], tuple[list[Fd], list[Held[MovedBridge]]]]
PutTogether = Callable[[list[Fd], list[Held[MovedBridge]]], None]


class Move:
    """From the old one's side. `take_apart` gives the links and the WebSockets, `put_together` takes them back."""

    def __init__(self, successor_fd: Fd, take_apart: TakeApart, put_together: PutTogether) -> None:
        self._successor = successor_at(successor_fd)
        self._take_apart = take_apart
        self._put_together = put_together

    async def run(self, all_told: Callable[[], bool]) -> int:
        """How many WebSockets have moved. `all_told`: nothing waits for a connectd. Raises MoveFailed: we go on."""
        await soon(all_told, MOVE_TIME)
        if not all_told():
            return self._give_up("a connectd does not take what it is told")
        link_fds, held = self._take_apart()
        links = Held(None, tuple(link_fds))
        try:
            async with asyncio.timeout(MOVE_TIME):
                await give(self._successor, held, message_of, MoveBridgeReply)
                copies = [fd for fd in links.copies() if fd is not None]
                reply = await self._successor.request(MoveLinks(copies), MoveLinksReply)
            if reply.websockets != len(held):
                raise ChannelClosed(f"it says that it has {reply.websockets} WebSockets of {len(held)}")
        except FAILURES as error:
            self._put_together(link_fds, held)
            return self._give_up(reason_of(error))
        self._successor.send(MoveDone())
        links.close()
        for one in held:
            one.close()
        return len(held)

    def _give_up(self, reason: str) -> int:
        """Raises MoveFailed."""
        status.unusual(f"the next websocketd cannot take our place, and we go on: {reason}")
        close_channel(self._successor)
        raise MoveFailed(reason)

    async def close(self, also: Callable[[], bool]) -> None:
        """When all has been said to the next one, and `also`."""
        await soon(lambda: not self._successor.queued and also(), MOVE_TIME)
        close_channel(self._successor)


class Predecessor:
    """From the next one's side: all waits, untouched, until `move_done`."""

    def __init__(
        self, predecessor_fd: Fd, begin: Callable[["Predecessor"], None], given_up: Callable[[], None]
    ) -> None:
        """`begin` is called when all is here; `given_up` if the old one goes on, or has died before."""
        self._begin = begin
        self.link_fds: list[Fd] = []
        self.held: list[Held[MovedBridge]] = []
        self._has_all = False
        sock = inherited_socket(str(predecessor_fd))
        self._channel = ControlChannel(sock, "predecessor", self._hear, lambda reason: given_up())

    def close(self) -> None:
        """The end of this process, whatever has come."""
        close_channel(self._channel)

    def _hear(self, message: ControlMessage) -> None:
        match message:
            case MoveBridge():
                self._take(message)
            case MoveLinks():
                self.link_fds, self._has_all = message.link_fds, True
                self._channel.reply(message, MoveLinksReply(len(self.held)))
            case MoveDone() if self._has_all:
                self._channel.close()
                self._begin(self)
            case _:
                self._channel.refuse(message)

    def _take(self, message: MoveBridge) -> None:
        try:
            moved = load(MovedBridge, message.state, VERSION)
            check(moved)
        except (StateError, ValueError) as error:
            message.close_fds()
            self._channel.reply(message, MoveBridgeReplyfail(str(error)))
            return
        self.held.append(Held(moved, (message.tcp_fd, message.stream_fd)))
        self._channel.reply(message, MoveBridgeReply())


def message_of(held: Held[MovedBridge]) -> MoveBridge:
    """For the next one. Raises OSError if there are no fds for copies."""
    tcp_fd, stream_fd = held.copies()
    assert tcp_fd is not None and stream_fd is not None
    return MoveBridge(dump(held.moved, VERSION), tcp_fd, stream_fd)
