"""Both buses of a connectiond that runs on its own, and the one place that knows where each line is: with the hub, or
in the waiting room. To the hub this is what is above it: there is no master.
"""

from collections import defaultdict

import zmq

from connectd.connectiond.alone.ctl import CtlBus
from connectd.connectiond.alone.options import Settings
from connectd.connectiond.alone.peers import StandalonePeers
from connectd.connectiond.alone.registrations import StandaloneRegistrations, Wishes
from connectd.connectiond.alone.waiting_room import WaitingRoom
from connectd.connectiond.bus import LONGEST, BusEndpoint, MsgBus
from connectd.connectiond.hub import Hub
from connectd.connectiond.lines.carrier import EverythingTaken
from connectd.connectiond.lines.elsewhere import DistantLine
from connectd.connectiond.lines.line import Line
from connectd.tasks import Tasks
from wire.control.control_wire import PeerInfo
from wire.control.timing import Timing


class StandaloneBuses:
    """MSG and CTL, bound by the constructor, which raises BindFailed and CurveError.

    It is the `LineEvents` of all lines, `Above` of the hub, and the `Owners` for CTL.
    """

    def __init__(
        self,
        settings: Settings,
        node_id: bytes,
        context: "zmq.Context[zmq.Socket[bytes]]",
        timing: Timing,
        tasks: Tasks,
    ) -> None:
        self._settings = settings
        self._registrations = StandaloneRegistrations(node_id)
        self._owners: dict[int, str] = {}
        """Which service stands for a connection, by conn_id."""
        self._had: defaultdict[int, set[str]] = defaultdict(set)
        """Who has given it back: it is not pressed upon them again."""
        self._lines: dict[int, DistantLine] = {}
        self._waiting = WaitingRoom(self._choose, self._give)
        self._hub = Hub(self, EverythingTaken(), tasks.later)
        self._msg = MsgBus(BusEndpoint(context, settings.msg, settings.curve, longest=LONGEST), self._hub, timing)
        self._own_context = zmq.Context() if settings.ctl.startswith("tcp:") else None
        try:
            self._ctl = CtlBus(
                settings,
                node_id,
                self._own_context or context,
                self._msg.endpoint,
                self._registrations,
                self,
                tasks,
                timing.bus_heartbeat,
            )
        except BaseException:
            self._close_msg("there is no CTL")
            raise
        self.endpoints = self._msg.endpoint, self._ctl.endpoint
        """Of MSG and of CTL."""

    def start(self, peers: StandalonePeers) -> None:
        """Whose connections these are."""
        self._ctl.start(peers)

    def close(self, reason: str) -> None:
        """Say goodbye on both."""
        self._ctl.close(reason)
        self._close_msg(reason)

    def _close_msg(self, reason: str) -> None:
        self._msg.close(reason)
        if self._own_context is not None:
            self._own_context.term()

    # connections

    def came(self, line: DistantLine) -> None:
        """A connection is there."""
        self._lines[line.peer.conn_id] = line
        self._ctl.came(line)
        self._waiting.enter(line)

    def went(self, line: DistantLine) -> None:
        """Nothing is left of it."""
        conn_id, node_id = line.peer.conn_id, line.peer.node_id
        self._waiting.leave(line)
        self._owners.pop(conn_id, None)
        self._had.pop(conn_id, None)
        del self._lines[conn_id]
        self._hub.registrations.everything.pop(node_id, None)
        self._ctl.went(line)

    def disconnect(self, line: DistantLine, reason: str) -> None:
        """End it, wherever it is."""
        if line in self._waiting:
            self._waiting.leave(line)
            line.end(reason, [])
        else:
            self._hub.disconnect(line.peer.conn_id, [], reason)

    def owner_of(self, line: Line) -> str | None:
        """The service that stands for it."""
        return self._owners.get(line.peer.conn_id)

    def changed(self, wishes: Wishes) -> None:
        """A service wants other things now, or has left CTL."""
        if news := wishes.told.all_news(wishes):
            self._hub.registered(news)
        self._waiting.look()

    def _choose(self, peer: PeerInfo, held: list[bytes]) -> str | None:
        return self._registrations.choose(peer.node_id, held, self._had[peer.conn_id])

    def _give(self, line: DistantLine, service: str) -> None:
        if self._registrations.named(service).everything:
            self._hub.registrations.everything[line.peer.node_id] = service
        self._owners[line.peer.conn_id] = service
        self._ctl.moved(line)
        self._hub.take(line, service, None)

    # what happens on lines

    def heard(self, line: Line, message: bytes) -> bool:
        """To the hub, or kept."""
        ours = self._lines[line.peer.conn_id]
        if ours in self._waiting:
            self._waiting.heard(ours, message)
            return True
        return self._hub.heard(line, message)

    def sent(self, line: Line, count: int) -> None:
        """The hub gives credit for it."""
        self._hub.sent(line, count)

    def ended(self, line: Line, reason: str) -> None:
        """By itself. `went` follows."""
        ours = self._lines[line.peer.conn_id]
        if ours in self._waiting:
            self._waiting.leave(ours)
        else:
            self._hub.ended(line, reason)

    # what the hub says

    def returned(self, line: Line, message: bytes | None) -> None:
        """No service has it any more: it waits for another one."""
        ours = self._lines[line.peer.conn_id]
        if (owner := self._owners.pop(line.peer.conn_id, None)) is not None:
            self._had[line.peer.conn_id].add(owner)
        self._hub.registrations.everything.pop(line.peer.node_id, None)
        ours.hear_again([] if message is None else [message])
        ours.resume()
        self._ctl.moved(ours)
        self._waiting.enter(ours)

    def disconnected(self, line: Line, reason: str) -> None:
        """`went` follows."""

    def owner(self, line: Line, service: str) -> None:
        """Another service stands for it now."""
        self._owners[line.peer.conn_id] = service
        self._ctl.moved(self._lines[line.peer.conn_id])

    def service_admitted(self, service: str) -> None:
        """`service_came` follows."""

    def service_came(self, service: str) -> None:
        """A service has come to MSG."""
        self._registrations.named(service).here = True
        self._waiting.look()

    def service_left(self, service: str, reason: str) -> None:
        """A service has left the bus."""
        self._registrations.named(service).here = False

    def copy_up(self, line: Line, message: bytes) -> None:
        """No service registers for copies here."""

    def catch_up(self) -> None:
        """What CTL has said is known."""
