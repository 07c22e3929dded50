"""One connectiond takes the place of another: peers notice nothing, and services say hello once more.

The old one tells each service `restart`, behind all that it has said, and reads on until each has said hello again,
behind all that it has said: then nothing is on the way. It gives copies of its connections and of its listening socket
to the next one, which touches neither before `move_done`. If the next one fails, the old one welcomes the services by
itself and goes on. Who has not said hello in time has left; so has, at the next one, who does not come there.
"""

import asyncio
from collections.abc import Callable

from connectd.connectiond.bus import MsgBus
from connectd.connectiond.hub import Hub
from connectd.connectiond.lines.here import Bridged, BridgedLine
from connectd.connectiond.moved import VERSION, MovedBus, MovedLine, moved
from wire.control.control_channel import ChannelClosed, ControlChannel
from wire.control.control_message import ControlMessage, Fd
from wire.control.control_wire import (
    MoveBus,
    MoveBusReply,
    MoveBusReplyfail,
    MoveDone,
    MovePeer,
    MovePeerReply,
    MovePeerReplyfail,
    PeerInfo,
    TakePeer,
)
from wire.control.daemon import inherited_socket
from wire.control.status import Status
from wire.control.timing import Timing
from wire.net.moving import FAILURES, MOVE_TIME, Held, MoveFailed, close_channel, give, reason_of, soon, successor_at
from wire.net.states import StateError, dump, load

ANSWERS = 5.0
"""Seconds in which services say hello again."""

status = Status("connectiond")


class Connections:
    """All that moves, as one: of a process that has it, or is about to."""

    def __init__(self, hub: Hub, bridged: Bridged, bus: MsgBus, timing: Timing, lost: Callable[[PeerInfo, str], None]):
        """`lost`: a connection could not be taken."""
        self.hub = hub
        self.bridged = bridged
        self.bus = bus
        self._timing = timing
        self._lost = lost

    def take_apart(self) -> tuple[MovedBus, list[Held[MovedLine]]]:
        """Nothing is here any more."""
        self.bridged.tell_sent()
        shared, ended = self.hub.leave()
        held = []
        for each in shared:
            assert isinstance(each.line, BridgedLine)
            state, peer_fd, gossip_fd, words = self.bridged.move(each.line)
            held.append(Held(MovedLine(each.line.info, state, moved(each), words), (peer_fd, gossip_fd)))
        return MovedBus(self.bus.sessions.move(), ended), held

    def put_together(self, ended: list[tuple[int, str]], held: list[Held[MovedLine]]) -> None:
        """All is here again: the fds are ours from here on."""
        self.hub.remember_ended(ended)
        for one in held:
            self._take(one.moved, *one.fds)

    def _take(self, moved: MovedLine, peer_fd: int | None, gossip_fd: int | None) -> None:
        assert peer_fd is not None
        fds = Fd(peer_fd), None if gossip_fd is None else Fd(gossip_fd)
        try:
            line = self.bridged.begin(TakePeer("", moved.peer, None, moved.state, *fds, self._timing))
        except (OSError, ValueError) as error:
            self._lost(moved.peer, f"no connection came: {error}")
        else:
            self.hub.go_on(line, moved.shared, moved.words)


class Move:
    """From the old one's side."""

    def __init__(self, connections: Connections, successor_fd: Fd) -> None:
        self._connections = connections
        self._sessions = connections.bus.sessions
        self._successor = successor_at(successor_fd)

    async def run(self) -> tuple[int, int]:
        """How many connections have moved, and how many were lost with services that did not answer.

        Raises MoveFailed, and then we go on.
        """
        connections, sessions = self._connections, self._sessions
        sessions.say_restart()
        await soon(lambda: sessions.all_answered or self._successor.closed, ANSWERS)
        if self._successor.closed:
            self._go_on("it has ended")
        had = len(connections.bridged)
        sessions.end_unanswered(f"it has not said hello again for {ANSWERS:g} seconds")
        rest, held = connections.take_apart()
        try:
            async with asyncio.timeout(MOVE_TIME):
                await give(self._successor, held, message_of, MovePeerReply)
                listener = connections.bus.copy_of_listener()
                reply = await self._successor.request(MoveBus(dump(rest, VERSION), listener), MoveBusReply)
            if reply.peers != len(held):
                raise ChannelClosed(f"it says that it has {reply.peers} connections of {len(held)}")
        except FAILURES as error:
            connections.put_together(rest.ended, held)
            self._go_on(reason_of(error))
        connections.bus.leave()
        self._successor.send(MoveDone())
        for one in held:
            one.close()
        return len(held), had - len(held)

    def _go_on(self, reason: str) -> None:
        """Raises MoveFailed."""
        status.unusual(f"the next connectiond cannot take our place, and we go on: {reason}")
        close_channel(self._successor)
        self._sessions.go_on()
        raise MoveFailed(reason)

    async def close(self, also: Callable[[], bool]) -> None:
        """When all has been said to the next one, and `also`; and the last words to peers."""
        await soon(lambda: not self._successor.queued and also(), MOVE_TIME)
        close_channel(self._successor)
        await self._connections.bridged.join()


class Predecessor:
    """From the next one's side: all waits, untouched, until `move_done`."""

    def __init__(
        self, predecessor_fd: Fd, begin: Callable[["Predecessor"], None], given_up: Callable[[], None]
    ) -> None:
        """`begin` is called when all is here; `given_up` if the old one goes on, or has died before."""
        self._begin = begin
        self.rest: MovedBus | None = None
        self.listener_fd: Fd | None = None
        self.held: list[Held[MovedLine]] = []
        sock = inherited_socket(str(predecessor_fd))
        self._channel = ControlChannel(sock, "predecessor", self._hear, lambda reason: given_up())

    def close(self) -> None:
        """The end of this process, whatever has come."""
        close_channel(self._channel)

    def _hear(self, message: ControlMessage) -> None:
        match message:
            case MovePeer():
                self._take(message)
            case MoveBus():
                self._take_rest(message)
            case MoveDone() if self.rest is not None:
                self._channel.close()
                self._begin(self)
            case _:
                self._channel.refuse(message)

    def _take(self, message: MovePeer) -> None:
        try:
            moved = load(MovedLine, message.state, VERSION)
            if len(moved.words) != len(moved.shared.said):
                raise StateError(f"{len(moved.words)} messages wait, and {len(moved.shared.said)} are to be told")
        except StateError as error:
            message.close_fds()
            self._channel.reply(message, MovePeerReplyfail(str(error)))
            return
        self.held.append(Held(moved, (message.peer_fd, message.gossip_fd)))
        self._channel.reply(message, MovePeerReply())

    def _take_rest(self, message: MoveBus) -> None:
        try:
            self.rest = load(MovedBus, message.state, VERSION)
        except StateError as error:
            message.close_fds()
            self._channel.reply(message, MoveBusReplyfail(str(error)))
            return
        self.listener_fd = message.listener_fd
        self._channel.reply(message, MoveBusReply(len(self.held)))


def message_of(held: Held[MovedLine]) -> MovePeer:
    """For the next one. Raises OSError if there are no fds for copies."""
    return MovePeer(dump(held.moved, VERSION), *held.copies())
