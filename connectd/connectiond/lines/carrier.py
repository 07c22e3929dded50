"""One connection of connectiond in a process of its own, or in a thread.

    python -S -P -m connectd.connectiond.lines.carrier FD LOGLEVEL

The live connection comes over the control socket with `take_peer`. From then on its pings are answered here, and all
else that the peer says goes to the parent as `peer_words`, at most WINDOW messages ahead of what the parent has taken
in. What the parent says is told to the peer, and counted back when it has been encrypted for the socket. The parent is
the master here; its end, or that of the connection, is ours.
"""

import asyncio
import socket
import sys
from collections.abc import Callable

from connectd.connectiond.lines.here import Bridged, BridgedLine
from connectd.connectiond.lines.line import Line
from wire.control.control_channel import ControlChannel
from wire.control.control_message import ControlMessage
from wire.control.control_wire import Disconnect, PeerDisconnected, PeerWords, TakePeer, WordsTaken
from wire.control.daemon import EXIT_BROKEN, EXIT_OK, inherited_socket, prepare, run
from wire.control.limits import Limits
from wire.control.status import Status
from wire.routing import Action, Routes

WINDOW = 64
"""Messages of the peer's that may be on their way to the parent."""

ANSWERED = frozenset({1, 16, 17, 18, 19})
"""Pings are answered; a `warning` or an `error` goes to all whom it concerns."""

status = Status("connectiond")


class EverythingTaken(Routes):
    """Each message is for a service, gossip too: no other process could deal with it."""

    def action(self, number: int) -> Action:
        """What happens to a message of this type."""
        return Action.ANSWER if number in ANSWERED else Action.TAKE


class Separate:
    """One connection between its socket and the parent, on its own loop."""

    def __init__(self, control: socket.socket, stop: Callable[[int], None]) -> None:
        """`stop` ends the loop with an exit status."""
        control.setblocking(False)
        self._stop = stop
        self._bridged: Bridged | None = None
        self._line: BridgedLine | None = None
        self._ending: asyncio.Task[None] | None = None
        self._room = WINDOW
        self._parent = ControlChannel(control, "master", self._obey, lambda _: self._stop(EXIT_OK))
        self._drained = asyncio.Event()
        self._parent.on_drained = self._drained.set

    def close(self) -> None:
        """Close whatever is still open."""
        for message in self._parent.close():
            message.close_fds()
        if self._bridged is not None:
            self._bridged.close()

    # from the parent

    def _obey(self, message: ControlMessage) -> None:
        match message:
            case TakePeer() if self._line is None:
                self._take(message)
            case _ if self._ending is not None:  # it has crossed with the end of the connection
                message.close_fds()
            case PeerWords(message=words) if self._line is not None:
                self._line.say(words)
            case WordsTaken(messages=count) if self._line is not None:
                self._has_room(self._line, count)
            case Disconnect(reason=reason, send=last_words) if self._line is not None:
                self._line.end(reason, last_words)
                self.ended(self._line, reason)
            case _:
                message.close_fds()
                status.broken(f"{message.name()} is nothing that a connection is told")
                self._stop(EXIT_BROKEN)

    def _take(self, message: TakePeer) -> None:
        self._bridged = Bridged(EverythingTaken(), message.timing, Limits())
        self._bridged.events = self
        self._line = self._bridged.begin(message)

    def _has_room(self, line: BridgedLine, count: int) -> None:
        was_full, self._room = self._room <= 0, self._room + count
        if was_full and self._room > 0:
            line.resume()

    # what happens on the line

    def heard(self, line: Line, message: bytes) -> bool:
        """The peer has said this."""
        self._room -= 1
        if self._room <= 0:
            line.pause()
        return self._tell(PeerWords(message))

    def sent(self, line: Line, count: int) -> None:
        """So much of what it was to be told is encrypted."""
        self._tell(WordsTaken(count))

    def ended(self, line: Line, reason: str) -> None:
        """The connection is over, and so are we when its last words have left."""
        self._tell(PeerDisconnected(line.peer.node_id, line.peer.conn_id, reason))
        self._ending = asyncio.create_task(self._end_when_sent())

    def _tell(self, message: ControlMessage) -> bool:
        """False if the parent is gone."""
        if not self._parent.closed:
            self._parent.send(message)
        return not self._parent.closed

    async def _end_when_sent(self) -> None:
        if self._bridged is not None:
            await self._bridged.join()
        if self._parent.queued:
            self._drained.clear()
            await self._drained.wait()
        self._stop(EXIT_OK)


def main() -> int:
    """Run until the connection or the parent ends; the exit status."""
    fd, level = sys.argv[1:]
    prepare(level)
    control = inherited_socket(fd)
    return run("connectiond", lambda stop: Separate(control, stop).close)


if __name__ == "__main__":
    sys.exit(main())
