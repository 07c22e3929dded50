"""Connections that no service has: they wait, with what their peers say, until one comes that wants them.

Their pings are answered all the while. So a service may be started after connectiond, and restarted. A peer that
says more than MAX_HELD, with no service there to hear it, is disconnected: nothing that it has said is lost in silence.
"""

from collections.abc import Callable, Iterator
from dataclasses import field

from connectd.connectiond.lines.elsewhere import DistantLine
from wire.control.control_wire import PeerInfo
from wire.control.status import Status
from wire.start.late_dataclass import dataclass

MAX_HELD = 256
"""Messages that are kept for the service to come, of one connection."""
MAX_HELD_BYTES = 1 << 20

status = Status("connectiond")

Choose = Callable[[PeerInfo, list[bytes]], str | None]
"""Which service, if it is here, gets a connection on which these messages have come."""
Give = Callable[[DistantLine, str], None]
"""A service has the line from here on; what was held is heard after that."""


@dataclass(slots=True)
class _Waiting:
    line: DistantLine
    held: list[bytes] = field(default_factory=list)
    size: int = 0


class WaitingRoom:
    """All that wait, in the order in which they came."""

    def __init__(self, choose: Choose, give: Give) -> None:
        self._choose = choose
        self._give = give
        self._waiting: dict[int, _Waiting] = {}

    def __contains__(self, line: DistantLine) -> bool:
        return line.peer.conn_id in self._waiting

    def __iter__(self) -> Iterator[DistantLine]:
        return iter([waiting.line for waiting in self._waiting.values()])

    def enter(self, line: DistantLine) -> None:
        """No service has it, or none any more. It may leave at once."""
        self._waiting[line.peer.conn_id] = _Waiting(line)
        self._look(line)

    def heard(self, line: DistantLine, message: bytes) -> None:
        """One that waits has this to say."""
        waiting = self._waiting[line.peer.conn_id]
        waiting.held.append(message)
        waiting.size += len(message)
        self._look(line)
        if line in self and (len(waiting.held) > MAX_HELD or waiting.size > MAX_HELD_BYTES):
            self.leave(line)
            line.end("it says much, and no service is here to hear it", [])

    def leave(self, line: DistantLine) -> None:
        """A connection has ended, or a service has it."""
        self._waiting.pop(line.peer.conn_id, None)

    def look(self) -> None:
        """Something has changed: a service has come, or wants more. Giving one line away may bring us here again."""
        for line in self:
            if line in self:
                self._look(line)

    def _look(self, line: DistantLine) -> None:
        held = self._waiting[line.peer.conn_id].held
        service = self._choose(line.peer, held)
        if service is None:
            return
        self.leave(line)
        status.debug(f"goes to {service}", line.peer.node_id)
        self._give(line, service)
        line.hear_again(held)
